"""Absolute deadlines on the monotonic clock."""

from __future__ import annotations

import time


def sleep_until(due_ns: int) -> int:
    """Sleep until a moment of the monotonic clock, [ns]; return the time on waking, [ns].

    One sleep to an absolute goal, so that lateness never adds up. `time.sleep` may wake a little early on some
    kernels; then it sleeps again.
    """
    while True:
        now = time.monotonic_ns()
        if now >= due_ns:
            return now
        time.sleep((due_ns - now) / 1e9)
