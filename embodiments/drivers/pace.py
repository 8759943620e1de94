"""A steady pace: absolute deadlines, and no rush to catch up after a long stall."""

from __future__ import annotations

import time
from typing import Final

from unichunk.runtime.deadline import sleep_until

_CATCH_UP_NS: Final = 100_000_000


class Pace:
    """Deadlines that are a period apart.

    Where it may catch up, a loop that is late by a little runs its next periods at once, so that a simulator's time
    keeps up with real time; what is late by more than a tenth of a second is left out. A real robot's time does not
    wait: there every period that went by is left out, since set-points that follow too fast move it too fast.

    Args:
        rate_hz: Periods a second.
        catch_up: Whether late periods are made up for.
    """

    def __init__(self, rate_hz: float, *, catch_up: bool = True) -> None:
        self._period_ns = round(1e9 / rate_hz)
        self._allowed_ns = _CATCH_UP_NS if catch_up else self._period_ns
        self._due_ns = time.monotonic_ns()

    def wait(self) -> int:
        """Wait for the next deadline.

        Returns:
            How many periods were left out.
        """
        self._due_ns += self._period_ns
        missed = 0
        late_ns = time.monotonic_ns() - self._due_ns
        if late_ns > self._allowed_ns:
            missed = late_ns // self._period_ns
            self._due_ns += missed * self._period_ns
        sleep_until(self._due_ns)
        return missed
