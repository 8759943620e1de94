"""What a reader of the results has to know of the log, besides scores and voids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.ledger.commands import (
    ClockJumped,
    ConfirmUnblinding,
    CountAsFailure,
    Interrupt,
    Note,
    ProposeUnblinding,
)
from unichunk.server.evaluation.results import Deviation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.ledger.entry import Entry


def deviations_of(entries: Iterable[Entry]) -> tuple[Deviation, ...]:
    """Interruptions, emergency unblindings, jumps of the clock and notes.

    Args:
        entries: All of the log, in its order.
    """
    found: list[Deviation] = []
    for entry in entries:
        named = _named(entry.command)
        if named is not None:
            kind, detail = named
            trial: str = getattr(entry.command, "trial", "")
            found.append(Deviation(entry.at_ns, kind, trial, entry.actor, detail))
    return tuple(found)


def _named(command: Command) -> tuple[str, str] | None:
    """Kind and detail of a command that deviates from the plan; None of one that does not."""
    if isinstance(command, Interrupt):
        return "interrupted", command.code
    if isinstance(command, ProposeUnblinding):
        return "unblinding proposed", command.reason
    if isinstance(command, Note):
        return "note", command.text
    if isinstance(command, ClockJumped):
        return "clock jumped", f"by {command.by_s:.3g} s"
    if isinstance(command, ConfirmUnblinding):
        return "unblinding confirmed", ""
    return ("counted as failure", "") if isinstance(command, CountAsFailure) else None
