"""The scheduler's automatic groups.

Where they are on, as they are on desktops, each session (a terminal's, for example) gets one share of the processor,
and the niceness of a thread counts only among its session's own: against another terminal's build it does nothing.
What counts there is the niceness of the session (sched(7), "The autogroup feature").
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

ENABLED: Final = Path("/proc/sys/kernel/sched_autogroup_enabled")
OWN: Final = Path("/proc/self/autogroup")

AGAIN_S: Final = 0.05
ATTEMPTS: Final = 8
"""Whoever is not root may set the niceness of sessions, all of them together, once in 100 ms; until then EAGAIN."""


def session_niceness() -> int | None:
    """Niceness of this process's session; None where sessions have none."""
    try:
        if ENABLED.read_text(encoding="ascii").strip() != "1":
            return None
        # "/autogroup-25 nice 0"
        return int(OWN.read_text(encoding="ascii").split()[-1])
    except (OSError, ValueError, IndexError):
        return None


def set_session_niceness(niceness: int) -> bool:
    """Set the niceness of this process's session, within 0.4 s; False where not permitted."""
    for _ in range(ATTEMPTS):
        try:
            OWN.write_text(str(niceness), encoding="ascii")
        except BlockingIOError:
            time.sleep(AGAIN_S)
        except OSError:
            return False
        else:
            return True
    return False
