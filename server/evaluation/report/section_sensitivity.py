"""The main results in other readings of the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.blocks import Bullets, Heading, Table, Text
from unichunk.server.evaluation.report.words import decision, joined, p_value, percent

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.statistics.document import AnalysisResult, Sensitivity


MOST_COLUMNS: Final = 6
"""With more policies than this their rates have no columns here; they are in analysis.json."""


def sensitivity(analysis: AnalysisResult) -> list[Block]:
    """What would have come out otherwise.

    Args:
        analysis: What was computed.
    """
    heading = Heading("Other readings of the data")
    if not analysis.sensitivity:
        return [heading, Text("There is nothing in the data that could be read otherwise.")]
    changing = [one.name for one in analysis.sensitivity if one.conclusions_change]
    said = (
        f"A conclusion changes with {joined(changing)}: it hangs on that reading, and should be told with it."
        if changing
        else "No conclusion of the primary tests changes with any of these."
    )
    rows: list[tuple[Cell, ...]] = [_row(one, analysis) for one in analysis.sensitivity]
    shown = _shown(analysis)
    headers = ("reading", "changed", "trials", *shown, "primary p", "pairs that differ", "conclusion")
    align = "lrr" + "r" * len(shown) + "rrl"
    described = tuple(f"{one.name}: {one.description}" for one in analysis.sensitivity)
    return [heading, Text(said), Table(headers, tuple(rows), align), Bullets(described)]


def _shown(analysis: AnalysisResult) -> tuple[str, ...]:
    """Policies with a column of their own: all, where they fit on a sheet."""
    return analysis.policies if len(analysis.policies) <= MOST_COLUMNS else ()


def _row(one: Sensitivity, analysis: AnalysisResult) -> tuple[Cell, ...]:
    rates = {cell.policy: cell.success for cell in one.success}
    shares = [percent(rates[name].rate if name in rates else None) for name in _shown(analysis)]
    differing = sum(pair.cmh.rejects for pair in one.pairs)
    return (
        one.name,
        str(one.changed),
        str(one.trials),
        *shares,
        p_value(one.omnibus.p, analysis.alpha),
        f"{differing} of {len(one.pairs)}",
        f"{decision(one.omnibus)}{': changes' if one.conclusions_change else ''}",
    )
