"""What is believed of each policy's success after the campaign: the Beta densities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.palette import MUTED, looks, tint
from unichunk.server.evaluation.report.scale import Scale, horizontal_axis, percent_ticks
from unichunk.server.evaluation.report.scene import WIDTH, Curve, Label, Line, Mark, Scene, backed, shortened
from unichunk.server.evaluation.report.words import percent, percent_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.palette import Look
    from unichunk.server.evaluation.report.scene import Anchor, Shape
    from unichunk.server.evaluation.statistics.document import Posterior

ROW: Final = 58.0
HILL: Final = 40.0
"""Height of a density."""
GRID: Final = 160
"""Values of a density that are drawn."""
_START: Final[Anchor] = "start"
_END: Final[Anchor] = "end"


def posteriors_plot(posteriors: Sequence[Posterior], policies: Sequence[str]) -> Scene:
    """One row for each policy: its density, its credible interval, its mean.

    Args:
        posteriors: Of each policy.
        policies: All names, in declared order.
    """
    dress = looks(policies)
    scale = Scale(0, 1, 20, WIDTH - 20)
    bottom = 6 + ROW * len(posteriors)
    shapes: list[Shape] = horizontal_axis(scale, percent_ticks(), top=6, bottom=bottom, title="success")
    for index, posterior in enumerate(posteriors):
        shapes += _row(posterior, scale, 6 + ROW * (index + 1) - 8, dress[posterior.policy])
    return Scene(WIDTH, bottom + 38, tuple(shapes), "Posterior density of each policy's success")


def densities(a: float, b: float) -> list[tuple[float, float]]:
    """The Beta density relative to its highest value on a grid that leaves 0 and 1 out.

    Args:
        a: First parameter, positive.
        b: Second one.

    Returns:
        Pairs of a share and the density there.
    """
    # Without its constant, and as a logarithm: Beta(500, 500) would underflow.
    shares = [(index + 0.5) / GRID for index in range(GRID)]
    logs = [(a - 1) * math.log(share) + (b - 1) * math.log1p(-share) for share in shares]
    highest = max(logs)
    return [(share, math.exp(log - highest)) for share, log in zip(shares, logs, strict=True)]


def _row(posterior: Posterior, scale: Scale, base: float, look: Look) -> list[Shape]:
    hill = [(scale.at(share), base - HILL * height) for share, height in densities(posterior.a, posterior.b)]
    around = ((hill[0][0], base), *hill, (hill[-1][0], base))
    low, high = scale.at(posterior.credible.low), scale.at(posterior.credible.high)
    # The name stands where the hill is not.
    at, anchor = (scale.start + 2, _START) if posterior.mean > 0.5 else (scale.end - 2, _END)
    tip = f"{posterior.policy}: mean {percent(posterior.mean)}, {percent_range(posterior.credible)}"
    return [
        Curve(around, tint(look.colour, 0.7), 1.0, tint(look.colour, 0.22)),
        Line((low, base), (high, base), look.colour, 3.0),
        Mark((scale.at(posterior.mean), base), look.shape, look.colour, 4, tip=tip),
        *backed(Label((at, base - 20), shortened(posterior.policy, 160), 11, look.colour, anchor, bold=True)),
        *backed(Label((at, base - 7), f"mean {percent(posterior.mean)}", 10, MUTED, anchor)),
    ]
