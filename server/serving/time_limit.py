"""A block that is left when its time is over; the timer costs a callback, no task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class time_limit:  # noqa: N801  (used as `async with time_limit(1.0)`)
    """Within the block, what is awaited is cancelled after some time, and the block left.

    A cancellation from elsewhere passes through, also where it comes together with the limit.

    Args:
        seconds: How long the block may last, [s].

    Attributes:
        passed: Whether the limit cut the block short.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._seconds = seconds
        self._fired = False
        self._cancelled_before = 0

    async def __aenter__(self) -> time_limit:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        # Python 3.10 does not count cancellations.
        self._cancelled_before = task.cancelling() if hasattr(task, "cancelling") else 0
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._fire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._timer.cancel()
        if not self._fired:
            return False
        others = self._task.uncancel() > self._cancelled_before if hasattr(self._task, "uncancel") else False
        self.passed = kind is asyncio.CancelledError and not others
        return self.passed

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()
