"""Success of each policy on each layout, as a field of shades with the numbers in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.palette import INK, MUTED, PAPER, looks, tint
from unichunk.server.evaluation.report.scene import WIDTH, Box, Label, Scene, shortened
from unichunk.server.evaluation.report.words import count, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.scene import Shape
    from unichunk.server.evaluation.statistics.document import CellRate

NAMES: Final = 112.0
"""Room for the layouts' names."""
ROW: Final = 26.0
HEAD: Final = 26.0
TURNED_HEAD: Final = 92.0
MOST_LEVEL: Final = 4
"""Up to so many policies have their names level above the columns."""
MOST_ROWS: Final = 20
"""Layouts in a plot."""
SHADE: Final = "#08519c"


def layouts_plots(cells: Sequence[CellRate], policies: Sequence[str]) -> list[Scene]:
    """One row for each layout, one column for each policy; the darker, the more successes.

    Args:
        cells: Success of each policy on each layout.
        policies: All names, in declared order.

    Returns:
        One plot, or several where there are many layouts.
    """
    rows = list(dict.fromkeys((cell.task, cell.layout) for cell in cells))
    parts = [set(rows[start : start + MOST_ROWS]) for start in range(0, len(rows), MOST_ROWS)]
    return [_plot([cell for cell in cells if (cell.task, cell.layout) in part], policies) for part in parts]


def _plot(cells: Sequence[CellRate], policies: Sequence[str]) -> Scene:
    rows = list(dict.fromkeys((cell.task, cell.layout) for cell in cells))
    width = (WIDTH - NAMES - 4) / len(policies)
    head = HEAD if len(policies) <= MOST_LEVEL else TURNED_HEAD
    shapes = _heads(policies, width, head)
    y, task = head, ""
    places: dict[tuple[str, str], float] = {}
    several = len({task for task, _ in rows}) > 1
    for row in rows:
        if several and row[0] != task:
            shapes.append(Label((2, y + 16), shortened(row[0], WIDTH, 10.5), 10.5, MUTED))
            y += 22
        task, places[row] = row[0], y
        shapes.append(Label((NAMES - 8, y + 17), shortened(row[1], NAMES - 8), anchor="end"))
        y += ROW
    for cell in cells:
        corner = NAMES + width * policies.index(cell.policy), places[cell.task, cell.layout]
        shapes += _field(cell, corner, width)
    return Scene(WIDTH, y + 4, tuple(shapes), "Success by layout (rows) and policy (columns)")


def _heads(policies: Sequence[str], width: float, head: float) -> list[Shape]:
    dress = looks(policies)
    shapes: list[Shape] = []
    for index, name in enumerate(policies):
        x = NAMES + width * (index + 0.5)
        text = f"{dress[name].sign} {name}"
        if head == HEAD:
            shapes.append(Label((x, head - 9), shortened(text, width, 10.5), 10.5, dress[name].colour, "middle"))
        else:
            shapes.append(Label((x + 3, head - 6), shortened(text, 96, 10), 10, dress[name].colour, turn=55))
    return shapes


def _field(cell: CellRate, corner: tuple[float, float], width: float) -> list[Shape]:
    (x, y), rate = corner, cell.success
    share = rate.rate or 0.0
    tip = f"{cell.policy} on {cell.layout}: {count(rate)} = {percent(rate.rate)}"
    dark = share > 0.8  # where white is read better than black
    size = 10.5 if width >= 44 else 7.5  # five digits fit
    return [
        Box((x + 1, y + 1), width - 2, ROW - 2, tint(SHADE, 0.06 + 0.84 * share), tip),
        Label((x + width / 2, y + 17), f"{rate.successes}/{rate.trials}", size, PAPER if dark else INK, "middle"),
    ]
