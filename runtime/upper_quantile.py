"""What measurements hardly ever exceed: an upper quantile that the newest one counts in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def upper_quantile(values: Sequence[float], quantile: float) -> float:
    """The quantile, interpolated linearly, or the newest value where that is larger.

    Args:
        values: Measurements, the newest last; at least one.
        quantile: In 0 ... 1.
    """
    ordered = sorted(values)
    position = quantile * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    between = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return max(between, values[-1])
