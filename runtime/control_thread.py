"""The control thread: one control step at every deadline, whatever inference does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from unichunk.runtime.deadline import sleep_until
from unichunk.runtime.realtime import prefer_this_thread

if TYPE_CHECKING:
    from unichunk.runtime.control_loop import ControlLoop
    from unichunk.runtime.ticks import Timebase


class ControlThread(threading.Thread):
    """Runs a `ControlLoop` at its command rate.

    Steps whose whole period went by are left out and counted, never bunched together.

    Args:
        loop: What to run.
        timebase: When each step is due.
    """

    def __init__(self, loop: ControlLoop, timebase: Timebase) -> None:
        super().__init__(name="control", daemon=True)
        self._loop = loop
        self._timebase = timebase
        self._stopping = threading.Event()
        self.failure: BaseException | None = None
        """What ended the thread before it was asked to end. The driver's watchdog then holds the robot."""

    def run(self) -> None:
        """Step until `stop`."""
        prefer_this_thread()
        try:
            self._run()
        except BaseException as failure:  # noqa: BLE001  handed to the supervisor, which stops the run
            self.failure = failure

    def stop(self) -> None:
        """End the thread after the current step and wait for it."""
        self._stopping.set()
        self.join(timeout=2.0)

    def _run(self) -> None:
        timebase, loop = self._timebase, self._loop
        step = max(0, timebase.step_at(time.monotonic_ns()) + 1)
        while not self._stopping.is_set():
            due_ns = timebase.start_of_step(step)
            now_ns = sleep_until(due_ns)
            current = max(step, timebase.step_at(now_ns))
            loop.step(current, due_ns, now_ns, missed=current - step)
            step = current + 1
