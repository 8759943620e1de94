"""The control thread's pace, with a loop that is slow on purpose."""

from __future__ import annotations

import threading
import time

from unichunk.runtime.control_thread import ControlThread
from unichunk.runtime.ticks import Timebase


class SlowLoop:
    """Writes down its steps; one of them takes ten periods."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, int, int]] = []
        self.enough = threading.Event()

    def step(self, step: int, due_ns: int, now_ns: int, missed: int = 0) -> None:
        self.steps.append((step, due_ns, now_ns, missed))
        if len(self.steps) == 10:
            time.sleep(0.1)
        if len(self.steps) == 30:
            self.enough.set()


def test_missed_steps_are_left_out_and_counted_never_bunched() -> None:
    loop = SlowLoop()
    timebase = Timebase(time.monotonic_ns(), 20, 100)
    thread = ControlThread(loop, timebase)  # type: ignore[arg-type]
    thread.start()
    assert loop.enough.wait(10)
    thread.stop()
    assert thread.failure is None
    for (before, *_), (step, due_ns, now_ns, missed) in zip(loop.steps, loop.steps[1:], strict=False):
        assert step == before + 1 + missed
        assert step == max(before + 1, timebase.step_at(now_ns)), "every step runs within its own period"
        assert due_ns == timebase.start_of_step(before + 1)
    assert sum(missed for *_, missed in loop.steps) >= 8


def test_an_exception_ends_the_thread_and_is_kept() -> None:
    class Broken:
        def step(self, step: int, due_ns: int, now_ns: int, missed: int = 0) -> None:
            raise RuntimeError("broken")

    thread = ControlThread(Broken(), Timebase(time.monotonic_ns(), 20, 100))  # type: ignore[arg-type]
    thread.start()
    thread.join(5)
    assert "broken" in str(thread.failure)
