"""Our loop: the runtime's control thread in its real-time process, with a step that only writes down the time."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, cast
from unittest.mock import patch

from unichunk.benchmarks.pacing.pacers import Pacer
from unichunk.runtime import realtime
from unichunk.runtime.control_thread import ControlThread
from unichunk.runtime.realtime import collect_between_chunks, realtime_process
from unichunk.runtime.supervisor import LOOK_S
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def unprivileged_pacer() -> Pacer:
    """The same where the system refuses every priority: what remains is how the loop is written."""
    return Pacer(_pace, _nothing_permitted(), collect_between_chunks)


@contextmanager
def _nothing_permitted() -> Iterator[list[str]]:
    with ExitStack() as stack:
        for call in ("sched_setscheduler", "setpriority"):
            stack.enter_context(patch.object(os, call, side_effect=PermissionError))
        stack.enter_context(patch.object(realtime, "set_session_niceness", return_value=False))
        yield stack.enter_context(realtime_process(lock_memory=False))


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
