"""What a reader of the results has to know of the log, besides scores and voids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.ledger.commands import (
    ClockJumped,
    ConfirmUnblinding,
    CountAsFailure,
    EndedEarly,
    Interrupt,
    Looked,
    Note,
    ProposeUnblinding,
)
from unichunk.server.evaluation.results import LOOKED, Deviation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.ledger.entry import Entry

_KINDS: Final[dict[type[Command], str]] = {
    Interrupt: "interrupted",
    CountAsFailure: "counted as failure",
    ProposeUnblinding: "unblinding proposed",
    ConfirmUnblinding: "unblinding confirmed",
    Looked: LOOKED,
    EndedEarly: "ended early",
    ClockJumped: "clock jumped",
    Note: "note",
}


def deviations_of(entries: Iterable[Entry]) -> tuple[Deviation, ...]:
    """Interruptions, looks, an early end, emergency unblindings, jumps of the clock and notes.

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
    kind = _KINDS.get(type(command))
    return None if kind is None else (kind, _detail(command))


def _detail(command: Command) -> str:
    if isinstance(command, Interrupt):
        return command.code
    if isinstance(command, (ProposeUnblinding, EndedEarly)):
        return command.reason
    if isinstance(command, Note):
        return command.text
    if isinstance(command, Looked):
        return f"at the sequential test, after {command.scored} scored trials"
    return f"by {command.by_s:.3g} s" if isinstance(command, ClockJumped) else ""
