"""What a run must hold for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.runtime.outcome import ExitReason


class Trouble(Exception):
    """Ends a stretch of running; the supervisor holds the robot and then decides.

    Args:
        reason: What the run ends with, unless it recovers.
        detail: One line for people.
        recoverable: True where what was lost may come back.
    """

    def __init__(self, reason: ExitReason, detail: str, *, recoverable: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.recoverable = recoverable
