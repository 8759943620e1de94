"""Success of each policy with both of its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.palette import MUTED, looks, tint
from unichunk.server.evaluation.report.scale import Scale, horizontal_axis, percent_ticks
from unichunk.server.evaluation.report.scene import WIDTH, Label, Line, Mark, Scene, backed, shortened
from unichunk.server.evaluation.report.words import count, percent, percent_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.scene import Shape
    from unichunk.server.evaluation.statistics.document import CellRate

ROW: Final = 37.0


def success_plot(cells: Sequence[CellRate], policies: Sequence[str]) -> Scene:
    """One row for each policy: its rate, the Wilson interval (thick), the Clopper-Pearson interval (thin).

    Args:
        cells: Success of each policy, layouts pooled.
        policies: All names, in declared order.
    """
    dress = looks(policies)
    scale = Scale(0, 1, 20, WIDTH - 20)
    bottom = 8 + ROW * len(cells)
    shapes: list[Shape] = horizontal_axis(scale, percent_ticks(), top=8, bottom=bottom, title="success")
    for index, cell in enumerate(cells):
        shapes += _row(cell, dress[cell.policy].colour, dress[cell.policy].shape, scale, 8 + ROW * index)
    said = "; ".join(f"{cell.policy} {percent(cell.success.rate)}" for cell in cells)
    return Scene(WIDTH, bottom + 38, tuple(shapes), f"Success by policy: {said}")


def _row(cell: CellRate, colour: str, shape: str, scale: Scale, top: float) -> list[Shape]:
    rate = cell.success
    y = top + 26
    shapes: list[Shape] = [
        *backed(Label((scale.start, top + 14), shortened(cell.policy, 200, 12), 12, bold=True)),
        *backed(Label((scale.end, top + 14), f"{count(rate)} = {percent(rate.rate, rate.trials)}", 11, MUTED, "end")),
    ]
    for interval, width, fade in ((rate.clopper_pearson, 1.6, 0.75), (rate.wilson, 6.0, 0.4)):
        if interval is not None:
            ends = (scale.at(interval.low), y), (scale.at(interval.high), y)
            shapes.append(Line(*ends, tint(colour, fade), width))
    if rate.rate is not None:
        tip = f"{cell.policy}: {count(rate)}, Wilson {percent_range(rate.wilson, rate.trials)}"
        shapes.append(Mark((scale.at(rate.rate), y), shape, colour, 5, tip=tip))
    return shapes
