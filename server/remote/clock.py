"""Time, as a client waits for it; tests have one of their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> float:
        """[s], monotonic."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass, [s]."""
        ...


class SystemClock:
    """The machine's."""

    def now(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """`time.sleep`."""
        time.sleep(seconds)
