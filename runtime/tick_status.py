"""What a control step was: reported, never raised."""

from __future__ import annotations

import enum


class TickStatus(enum.IntEnum):
    """Status of one control step."""

    HOLDING = 0
    """At rest, or braking to it."""
    SYNCING = 1
    """On the ramp from where the robot stood to its first command."""
    RUNNING = 2
    """Executing rows of a chunk."""
    SEEDED = 3
    """Running, but the first chunk is not there yet: resting rows."""
    UNDERRUN = 4
    """Running without a row for this tick: the fallback."""
