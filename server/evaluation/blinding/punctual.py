"""What keeps answers punctual whichever policy computes beside them: when they leave must not tell who drives."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from unichunk.runtime.realtime import SWITCH_INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIORITY: Final = 10
"""SCHED_FIFO priority of the thread that answers robots: above policies, below robots' control threads (50)."""


@contextmanager
def punctual_thread() -> Iterator[bool]:
    """Prefer the calling thread to everything ordinary, and let it have the interpreter at once; undone afterwards.

    Threads and processes that it starts meanwhile are ordinary ones again.

    Yields:
        Whether the system permits it. Otherwise a policy that computes on the same cores makes answers late by up to
        the scheduler's slice, a few milliseconds, which somebody who measures many of them can tell.
    """
    interval, policy, parameters = sys.getswitchinterval(), os.sched_getscheduler(0), os.sched_getparam(0)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except OSError:
        permitted = False
    else:
        permitted = True
    try:
        yield permitted
    finally:
        sys.setswitchinterval(interval)
        if permitted:
            os.sched_setscheduler(0, policy, parameters)
