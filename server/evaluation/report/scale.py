"""Axes: from values to places, and where their ticks are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.palette import MUTED, RULE
from unichunk.server.evaluation.report.scene import Label, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.scene import Shape


@dataclass(frozen=True)
class Scale:
    """A linear axis.

    Attributes:
        low: Value at its start.
        high: Value at its end, another one.
        start: Place of the start.
        end: Place of the end.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value; values outside are put at the nearer end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values in the range.

        Args:
            about: How many, roughly.
        """
        raw = (self.high - self.low) / max(about, 1)
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def decades(low: float, high: float, most: int = 7) -> list[int]:
    """Exponents of powers of ten for the ticks of a logarithmic axis.

    Args:
        low: Lowest exponent, any number.
        high: Highest one.
        most: How many ticks at most.
    """
    first, last = math.floor(low), math.ceil(high)
    step = max(math.ceil((last - first) / max(most - 1, 1)), 1)
    # Zero, the value 1, is always among them where it is in the range.
    return [exponent for exponent in range(first, last + 1) if exponent % step == 0]


def power_of_ten(exponent: int) -> str:
    """As a tick is labelled: `100`, `0.01`, `10⁶`."""
    if -3 <= exponent <= 4:  # short enough to be written out
        return f"{10.0**exponent:,.{max(-exponent, 0)}f}"
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


def horizontal_axis(
    scale: Scale, ticks: Sequence[tuple[float, str]], *, top: float, bottom: float, title: str = ""
) -> list[Shape]:
    """Grid lines from top to bottom, and the ticks' labels below.

    Args:
        scale: Along x.
        ticks: Value and label of each.
        top: Where the grid begins.
        bottom: Where it ends.
        title: What the values are, with their unit.
    """
    shapes: list[Shape] = []
    for value, label in ticks:
        x = scale.at(value)
        shapes += [
            Line((x, top), (x, bottom), RULE, 0.8),
            Label((x, bottom + 14), label, 10.5, MUTED, "middle"),
        ]
    if title:
        shapes.append(Label(((scale.start + scale.end) / 2, bottom + 30), title, 10.5, MUTED, "middle"))
    return shapes


def percent_ticks() -> list[tuple[float, str]]:
    """Ticks of an axis of shares, as percentages."""
    return [(share, f"{100 * share:.0f}%") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
