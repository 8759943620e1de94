"""Differences of success between the declared pairs, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.palette import INK, MUTED
from unichunk.server.evaluation.report.scale import Scale, horizontal_axis
from unichunk.server.evaluation.report.scene import WIDTH, Label, Line, Mark, Scene, backed, shortened
from unichunk.server.evaluation.report.words import points, points_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.scene import Shape
    from unichunk.server.evaluation.statistics.document import PairComparison

ROW: Final = 36.0
MOST: Final = 16
"""Rows of a plot."""


def pairs_plots(pairs: Sequence[PairComparison]) -> list[Scene]:
    """One row for each pair: success of the first less that of the second; filled where its primary test rejects.

    Args:
        pairs: The declared ones.

    Returns:
        One plot, or several where there are many pairs; all have the same axis.
    """
    reach = 0.1 + max((abs(end) for pair in pairs for end in _ends(pair)), default=0.9)
    reach = min(reach, 1.0)
    scale = Scale(-reach, reach, 20, WIDTH - 20)
    return [_plot(pairs[start : start + MOST], scale) for start in range(0, len(pairs), MOST)]


def _plot(pairs: Sequence[PairComparison], scale: Scale) -> Scene:
    bottom = 8 + ROW * len(pairs)
    ticks = [(value, f"{100 * value:+.0f}".replace("-", "−") if value else "0") for value in scale.ticks(6)]
    title = "difference of success, percentage points"
    shapes: list[Shape] = horizontal_axis(scale, ticks, top=8, bottom=bottom, title=title)
    shapes.append(Line((scale.at(0), 4), (scale.at(0), bottom), MUTED, 1.2))
    for index, pair in enumerate(pairs):
        shapes += _row(pair, scale, 8 + ROW * index)
    return Scene(WIDTH, bottom + 38, tuple(shapes), "Differences of success with their intervals")


def _ends(pair: PairComparison) -> tuple[float, ...]:
    interval = pair.difference.interval
    return () if interval is None else (interval.low, interval.high)


def _row(pair: PairComparison, scale: Scale, top: float) -> list[Shape]:
    y, ends = top + 25, _ends(pair)
    name = f"{shortened(pair.first, 125)} less {shortened(pair.second, 125)}"
    shapes: list[Shape] = [
        *backed(Label((scale.start, top + 13), name)),
        *backed(Label((scale.end, top + 13), points(pair.difference), 10.5, MUTED, "end")),
    ]
    if ends:
        shapes.append(Line((scale.at(ends[0]), y), (scale.at(ends[1]), y), INK, 1.8))
    if pair.difference.estimate is not None:
        tip = f"{pair.first} less {pair.second}: {points_range(pair.difference.interval)} points"
        place = (scale.at(pair.difference.estimate), y)
        shapes.append(Mark(place, "circle", INK, 4.5, filled=pair.cmh.rejects, tip=tip))
    return shapes
