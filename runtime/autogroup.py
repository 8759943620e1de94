"""The scheduler's automatic groups.

Where they are on, as they are on desktops, each session (a terminal's, for example) gets one share of the processor,
and the niceness of a thread counts only among its session's own: against another terminal's build it does nothing.
What counts there is the niceness of the session (sched(7), "The autogroup feature").
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ENABLED: Final = Path("/proc/sys/kernel/sched_autogroup_enabled")
OWN: Final = Path("/proc/self/autogroup")


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
    """Set the niceness of this process's session; False where not permitted."""
    try:
        OWN.write_text(str(niceness), encoding="ascii")
    except OSError:
        return False
    return True
