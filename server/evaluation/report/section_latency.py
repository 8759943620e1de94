"""Whether every policy kept the pace that all were held to: what the proxy counted, opened after the campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.report.blocks import Heading, Named, Table, Text
from unichunk.server.evaluation.report.words import percent, plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.results import Results


class RunCounts(msgspec.Struct, frozen=True):
    """What the proxy counted in a trial.

    Attributes:
        chunks: That took effect.
        missed: That came too late and were dropped.
        late: That took effect later than declared.
        underruns: Rows held because no chunk had one.
        held_back: Rows that were beyond the limits of position or speed.
        gaps: Times that the robot skipped ticks.
    """

    chunks: int = 0
    missed: int = 0
    late: int = 0
    underruns: int = 0
    held_back: int = 0
    gaps: int = 0


def read_counts(folder: Path | None, results: Results) -> dict[str, RunCounts]:
    """What was counted in the trials that count.

    Args:
        folder: With a file `<trial>.json` for each trial; None: there is none.
        results: What was recorded.

    Returns:
        Trial -> its counts; files that are missing or damaged are left out.
    """
    if folder is None:
        return {}
    found = {trial.trial: _read(folder / f"{trial.trial}.json") for trial in results.trials}
    return {trial: counts for trial, counts in found.items() if counts is not None}


def latency(results: Results, counts: Mapping[str, RunCounts]) -> list[Block]:
    """A row for each policy.

    Args:
        results: What was recorded.
        counts: Of the trials.
    """
    heading = Heading("Pace of the policies")
    if not counts:
        return [heading, Text("Nothing was counted of it: whether policies kept the declared latency is not known.")]
    rows: list[tuple[Cell, ...]] = []
    missing = False
    for policy in results.plan.campaign.policies:
        own = [counts[one.trial] for one in results.trials if one.policy == policy.name and one.trial in counts]
        sums = {name: sum(getattr(one, name) for one in own) for name in RunCounts.__struct_fields__}
        asked = sums["chunks"] + sums["missed"]
        missing = missing or sums["missed"] + sums["late"] + sums["underruns"] > 0
        share = percent(sums["missed"] / asked if asked else None, asked)
        rows.append((Named(policy.name), str(len(own)), *(str(sums[name]) for name in _SHOWN), share))
    said = (
        f"Counted by the proxy in {plural(len(counts), 'trial')}, in files of its private folder, which the log does "
        "not vouch for. "
    )
    said += (
        "Where chunks were missed or rows held, a policy was worse for its speed and not for what it decides; more of "
        "that with one policy than with others is part of its result here."
        if missing
        else "No chunk came too late and no row was missing: latency was the declared one for all."
    )
    headers = ("policy", "trials", "chunks", "missed", "late", "rows held", "rows limited", "gaps", "missed, share")
    note = (
        "Rows held: no chunk had one; rows limited: beyond the robot's limits of position or speed; gaps: times that "
        "the robot itself skipped ticks."
    )
    return [heading, Text(said), Table(headers, tuple(rows), "lrrrrrrrr", note)]


def _read(path: Path) -> RunCounts | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunCounts)
    except (OSError, msgspec.MsgspecError):
        return None


_SHOWN = ("chunks", "missed", "late", "underruns", "held_back", "gaps")
