"""The step that every loop under test calls: it writes down when."""

from __future__ import annotations

import time
from array import array
from typing import Final

LONGEST: Final = 2
"""So many times the time that its steps should take a loop may take."""


class Stamps:
    """Times of steps on the monotonic clock, in room that is made beforehand.

    Only the standard library: this runs in the environments of others.

    Args:
        rate_hz: Steps a second that are asked for.
        warm_up_s: How long steps do not count at first, [s].
        seconds: How long the steps that count should take, [s]: a loop that is slower takes longer for as many.
    """

    def __init__(self, rate_hz: int, warm_up_s: float, seconds: float) -> None:
        self._stamps = array("q", bytes(8 * (1 + round(rate_hz * seconds))))
        self._count = 0
        self._counts_from_ns = time.monotonic_ns() + round(1e9 * warm_up_s)
        self._until_ns = self._counts_from_ns + round(1e9 * LONGEST * seconds)
        self.finished = False

    def step(self) -> bool:
        """Write down the time; False once that was enough."""
        now_ns = time.monotonic_ns()
        if self.finished or now_ns < self._counts_from_ns:
            return not self.finished
        self._stamps[self._count] = now_ns
        self._count += 1
        self.finished = self._count == len(self._stamps) or now_ns >= self._until_ns
        return not self.finished

    def taken_ns(self) -> list[int]:
        """Those that count, [ns]."""
        return self._stamps[: self._count].tolist()
