"""How often policies succeeded: all layouts together, per task, per layout, per sub-task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.blocks import Figure, Heading, Named, Table, Text
from unichunk.server.evaluation.report.plot_layouts import layouts_plots
from unichunk.server.evaluation.report.words import count, percent, percent_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.statistics.document import AnalysisResult, CellRate, Rate


def success(analysis: AnalysisResult) -> list[Block]:
    """Tables of success with both intervals.

    Args:
        analysis: What was computed.
    """
    level = percent(analysis.confidence)
    blocks: list[Block] = [
        Heading("Success"),
        _table(analysis.success, (), f"Intervals at {level}; layouts together, whatever differs between them."),
    ]
    if len({cell.task for cell in analysis.by_task}) > 1:
        blocks += [Heading("By task", 3), _table(analysis.by_task, ("task",), "Described, not tested.")]
    caption = "Successes of trials, by layout and policy; the darker, the more often. Described, not tested."
    blocks += [
        Heading("By layout", 3),
        *(Figure(scene, caption) for scene in layouts_plots(analysis.by_layout, analysis.policies)),
        _table(analysis.by_layout, ("layout",), "Described, not tested: so few trials decide nothing by themselves."),
    ]
    if analysis.rubric:
        blocks += [
            Heading("Sub-tasks", 3),
            Text("How often each sub-task was done, in trials that failed as a whole, too. Described, not tested."),
            _rubric(analysis),
        ]
    return blocks


def rates(rate: Rate) -> tuple[str, ...]:
    """Cells of a rate: count, percentage, Wilson's and Clopper and Pearson's interval."""
    spans = [percent_range(interval, rate.trials) for interval in (rate.wilson, rate.clopper_pearson)]
    return (count(rate), percent(rate.rate, rate.trials), *spans)


_RATE_HEADERS = ("success", "rate", "Wilson", "Clopper-Pearson")


def _table(cells: Sequence[CellRate], kinds: tuple[str, ...], note: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for cell in cells:
        names = {"task": cell.task, "layout": cell.layout}
        rows.append((*(names[kind] for kind in kinds), Named(cell.policy), *rates(cell.success)))
    return Table((*kinds, "policy", *_RATE_HEADERS), tuple(rows), "l" * len(kinds) + "lrrrr", note)


def _rubric(analysis: AnalysisResult) -> Table:
    several = len({row.task for row in analysis.rubric}) > 1
    rows: list[tuple[Cell, ...]] = []
    for row in analysis.rubric:
        item = f"{row.task}: {row.item}" if several else row.item
        rows.append((item, Named(row.policy), *rates(row.done)[:3]))
    return Table(("sub-task", "policy", "done", "rate", "Wilson"), tuple(rows), "llrrr")
