"""Our loop: the runtime's control thread in its real-time process, with a step that only writes down the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast

from unichunk.benchmarks.pacing.pacers import Pacer
from unichunk.runtime.control_thread import ControlThread
from unichunk.runtime.realtime import collect_between_chunks, realtime_process
from unichunk.runtime.supervisor import LOOK_S
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from unichunk.benchmarks.pacing.stamps import Stamps
    from unichunk.runtime.control_loop import ControlLoop

ACTION_HZ: Final = 10
"""Ticks play no part here, but a time base has them."""


class _StepOnly:
    """Stands where the control loop stands, so that every loop under test does the same work.

    Args:
        stamps: Gets the time of every control step.
    """

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps

    def step(self, step: int, due_ns: int, now_ns: int, missed: int = 0) -> None:  # noqa: ARG002  the loop's signature
        """One control step."""
        self._stamps.step()


def own_pacer() -> Pacer:
    """The control thread and its surroundings as `unichunk run` sets them up."""
    return Pacer(_pace, realtime_process(lock_memory=False), collect_between_chunks)


def _pace(stamps: Stamps, rate_hz: int) -> int:
    """Step in a control thread while this thread looks on, as the supervisor does."""
    timebase = Timebase(time.monotonic_ns(), ACTION_HZ, rate_hz)
    thread = ControlThread(cast("ControlLoop", _StepOnly(stamps)), timebase)
    thread.start()
    while thread.is_alive() and not stamps.finished:
        time.sleep(LOOK_S)
    thread.stop()
    if thread.failure is not None:
        raise thread.failure
    return timebase.epoch_ns
