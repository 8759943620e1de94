"""The anytime-valid test: what somebody who looked after every trial could have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.blocks import Bullets, Figure, Heading, Table, Text
from unichunk.server.evaluation.report.plot_evidence import evidence_plot
from unichunk.server.evaluation.report.words import DASH, number, p_value, points_range

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.statistics.document import AnalysisResult, PairComparison, Sequential


def sequential(analysis: AnalysisResult) -> list[Block]:
    """The sequential test of every declared pair; nothing where the plan did not ask for it.

    Args:
        analysis: What was computed.
    """
    tested = [(pair, pair.sequential) for pair in analysis.pairs if pair.sequential is not None]
    if not tested:
        return []
    nulls = dict.fromkeys(f"{test.method}: {test.null}" for _, test in tested)
    intro = (
        f"The e-value is what a bet of 1 against “no difference” would have become; under no difference it reaches "
        f"1/α = {number(1 / analysis.alpha)} at any time with a probability of at most α. So this test may be looked "
        f"at after every trial, which the tests above may not: they hold at the end of the plan only. It is the more "
        f"careful one, and needs more trials for the same difference."
    )
    caption = "Evidence against no difference after each trial; up is more. Dashed: 1/α, before Holm's correction."
    rows: list[tuple[Cell, ...]] = [_row(pair, test, analysis.alpha) for pair, test in tested]
    headers = ("pair", "e-value", "largest", "p, Holm", "1/α first reached", "difference", "says")
    notes = tuple(f"{_name(pair)}: {test.note}" for pair, test in tested if test.note)
    return [
        Heading("Sequential test"),
        Text(intro),
        Figure(evidence_plot(analysis.pairs, analysis.alpha), caption),
        Table(
            headers, tuple(rows), "lrrrrrl", "Difference: confidence sequence in percentage points, valid at any time."
        ),
        Bullets((*nulls, *notes)),
    ]


def _row(pair: PairComparison, test: Sequential, alpha: float) -> tuple[Cell, ...]:
    reached = DASH if test.decided_after is None else f"trial {test.decided_after}"
    span = next((step.difference for step in reversed(test.steps) if step.difference is not None), None)
    return (
        _name(pair),
        number(test.e_value),
        number(test.largest),
        p_value(test.p if test.adjusted is None else test.adjusted, alpha),
        reached,
        points_range(span),
        "differs" if test.rejects else "no difference shown",
    )


def _name(pair: PairComparison) -> str:
    return f"{pair.first} vs {pair.second}"
