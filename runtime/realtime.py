"""Real-time hygiene, as far as the system permits; what was not permitted is reported, never fatal."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from unichunk.runtime.autogroup import session_niceness, set_session_niceness
from unichunk.runtime.kept_memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCH_INTERVAL_S: Final = 1e-4
"""Longest time a thread keeps the interpreter while another one waits for it, [s] (CPython's default is 5 ms)."""

PRIORITY: Final = 50
"""SCHED_FIFO priority of the control thread: above ordinary work, below the kernel's own threads."""

NICENESS: Final = -10
"""Niceness of the other threads: one put aside while it holds the interpreter delays the control thread too."""

_MCL_CURRENT_AND_FUTURE: Final = 3


@contextmanager
def realtime_process(*, lock_memory: bool) -> Iterator[list[str]]:
    """Prepare the process for a run and undo it afterwards.

    Inside, the interpreter switches threads quickly, the threads started are preferred to other processes (and so is
    the process's session, where niceness would else count only among its own), everything alive is exempt from garbage
    collection, which is left to `collect_between_chunks`, and memory is locked where that is asked for and permitted.
    Freed memory stays with the process, afterwards too. All of it ends with the process, however that ends, but for
    the session's preference: a process that is killed leaves that behind for as long as its terminal is open.

    Yields:
        One line for every measure that the system did not permit, with what would permit it.
    """
    missing: list[str] = []
    interval, collecting, niceness = sys.getswitchinterval(), gc.isenabled(), os.getpriority(os.PRIO_PROCESS, 0)
    session, preferred = session_niceness(), False
    if session is not None and session <= NICENESS:
        # Another process of the session prefers it already, and will undo it.
        session = None
    try:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        keep_freed_memory()
        gc.collect()
        gc.freeze()
        gc.disable()
        if lock_memory and not _lock_memory():
            missing.append("memory is not locked: raise the memlock limit (`ulimit -l unlimited`)")
        if not _may_use_fifo():
            missing.append("no SCHED_FIFO for the control thread: raise the rtprio limit in /etc/security/limits.conf")
        if not _be_nice(min(niceness, NICENESS)):
            missing.append(
                f"no niceness {NICENESS} for other threads: raise the nice limit in /etc/security/limits.conf"
            )
        elif session is not None:
            preferred = set_session_niceness(NICENESS)
            if not preferred:
                missing.append(
                    f"no niceness {NICENESS} for this session, see autogroup in sched(7): raise the nice limit in "
                    "/etc/security/limits.conf"
                )
        yield missing
    finally:
        if lock_memory:
            ctypes.CDLL(None).munlockall()
        _be_nice(niceness)
        sys.setswitchinterval(interval)
        gc.unfreeze()
        if collecting:
            gc.enable()
        # Last, because it may have to wait.
        if session is not None and preferred:
            set_session_niceness(session)


def prefer_this_thread() -> bool:
    """Put the calling thread under SCHED_FIFO; False where the system does not permit it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True


def collect_between_chunks() -> None:
    """Collect garbage of this run where it disturbs least: in the inference thread, after a chunk was published.

    What was alive before the run is frozen, so even a full collection looks at little.
    """
    gc.collect()


def _may_use_fifo() -> bool:
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    if not prefer_this_thread():
        return False
    os.sched_setscheduler(0, policy, parameters)
    return True


def _be_nice(niceness: int) -> bool:
    """Set the niceness of the calling thread, which the threads it starts inherit; False where not permitted."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except OSError:
        return False
    return True


def _lock_memory() -> bool:
    return bool(ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT_AND_FUTURE) == 0)
