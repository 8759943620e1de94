"""When a policy runs as fast as it will: judged by its own times, not by a number of inferences."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WINDOW: Final = 10
"""Inferences that are compared with as many before them."""

TOLERANCE: Final = 0.05
"""Share by which their medians may differ."""

LEAST: Final = 2
"""Inferences that are run whatever they take."""


@dataclass(frozen=True)
class WarmUp:
    """How a policy warmed up.

    Attributes:
        inferences: Run before anything counted.
        seconds: That they took, waiting for cameras included, [s].
        steady: Whether the last ten and the ten before them had the same median within 5 %.
        first_ms: The first one's time, [ms].
        last_ms: Median of the last ten, [ms].
    """

    inferences: int
    seconds: float
    steady: bool
    first_ms: float
    last_ms: float

    def row(self) -> dict[str, Any]:
        """As plain values, with how steadiness was judged."""
        judged = f"medians of {WINDOW} inferences and of the {WINDOW} before within {100 * TOLERANCE:.0f} %"
        return {**asdict(self), "judged": judged}


def warm_up(infer: Callable[[], float], longest_s: float, clock: Callable[[], float]) -> WarmUp:
    """Infer until it is steady, or the time is up.

    Args:
        infer: One inference; how long it took, [ms].
        longest_s: Time after which it is given up, [s].
        clock: Tells the time, [s].
    """
    begun = clock()
    times: list[float] = []
    while len(times) < LEAST or (not is_steady(times) and clock() - begun < longest_s):
        times.append(infer())
    return WarmUp(len(times), clock() - begun, is_steady(times), times[0], median(times[-WINDOW:]))


def is_steady(times: Sequence[float]) -> bool:
    """Whether the last ten took as long as the ten before them."""
    if len(times) < 2 * WINDOW:
        return False
    before, last = median(times[-2 * WINDOW : -WINDOW]), median(times[-WINDOW:])
    return abs(last - before) <= TOLERANCE * before
