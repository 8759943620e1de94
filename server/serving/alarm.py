"""One call at a time that may move forward."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_AFTER_S: Final = 0.001
"""Event loops count in milliseconds, and what is called a moment early would find nothing to do."""


class Alarm:
    """Calls something in the event loop when it is time.

    Args:
        call: What.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def by(self, now_s: float, due_s: float) -> None:
        """Call then, or earlier where that was asked for before; both in `time.monotonic()`, [s]."""
        if self._timer is not None:
            if self._due_s <= due_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due_s - now_s) + _AFTER_S, self._ring)

    def off(self) -> None:
        """Do not call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._call()
