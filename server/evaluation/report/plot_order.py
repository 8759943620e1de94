"""The trials in the order in which they were judged, a row for each policy: what drifted would show here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.palette import MUTED, looks, tint
from unichunk.server.evaluation.report.scale import Scale, horizontal_axis
from unichunk.server.evaluation.report.scene import WIDTH, Box, Label, Line, Scene, backed, shortened
from unichunk.server.evaluation.report.words import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.palette import Look
    from unichunk.server.evaluation.report.scene import Shape
    from unichunk.server.evaluation.results import ScoredTrial
    from unichunk.server.evaluation.statistics.document import DriftPart

ROW: Final = 66.0
BAR: Final = 15.0
"""Length of a trial's bar."""


def order_plot(trials: Sequence[ScoredTrial], parts: Sequence[DriftPart], policies: Sequence[str]) -> Scene:
    """A bar up for each success, a pale one down for each failure; above them success in each part of the session.

    Args:
        trials: In the order in which they were judged.
        parts: Of the session.
        policies: All names, in declared order.
    """
    dress = looks(policies)
    along = Scale(0, max(len(trials), 1), 20, WIDTH - 14)
    bottom = 12 + ROW * len(policies)
    ticks = [(value, f"{value:.0f}") for value in along.ticks(6) if value == round(value)]
    shapes: list[Shape] = horizontal_axis(along, ticks, top=12, bottom=bottom, title="trials, in order of time")
    edges = [Line((along.at(part.first), 6), (along.at(part.first), bottom), MUTED, 0.8, (2, 3)) for part in parts[1:]]
    shapes += edges
    for index, name in enumerate(policies):
        own = [trial for trial in trials if trial.policy == name]
        shapes += _row(name, own, parts, along, 12 + ROW * index, dress[name])
    return Scene(WIDTH, bottom + 38, tuple(shapes), "Successes and failures of each policy in order of time")


def _row(
    name: str, trials: Sequence[ScoredTrial], parts: Sequence[DriftPart], along: Scale, top: float, look: Look
) -> list[Shape]:
    middle = top + 33
    shapes: list[Shape] = [
        *backed(Label((along.start, top + 12), shortened(name, 250, 10.5), 10.5, look.colour, bold=True)),
        Line((along.start, middle), (along.end, middle), tint(look.colour, 0.45), 0.8),
    ]
    for part in parts:
        cell = next((cell for cell in part.policies if cell.policy == name), None)
        if cell is not None:
            x = (along.at(part.first) + along.at(part.last + 1)) / 2
            shapes.append(Label((x, middle + BAR + 11), percent(cell.success.rate), 9.5, MUTED, "middle"))
    step = (along.end - along.start) / (along.high - along.low)
    width = min(max(step * 0.8, 0.7), 5.0)
    for trial in trials:
        x = along.at(trial.order + 0.5) - width / 2
        outcome = "success" if trial.success else "failure"
        tip = f"trial {trial.order + 1}, {trial.layout}: {outcome}"
        corner = (x, middle - BAR if trial.success else middle)
        colour = look.colour if trial.success else tint(look.colour, 0.45)
        shapes.append(Box(corner, width, BAR, colour, tip))
    return shapes
