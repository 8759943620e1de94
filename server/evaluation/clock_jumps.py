"""A wall clock that is set while a campaign runs: noticed and recorded, never believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

JUMP_S: Final = 0.5
"""The least that is a jump, [s]: a clock that is slewed gains far less between two looks."""

APART_S: Final = 0.02
"""Two readings of the monotonic clock further apart than this say nothing of the wall clock read in between, [s]."""

_TRIES: Final = 5


class ClockWatch:
    """Compares the wall clock with the monotonic one.

    Args:
        clock: Monotonic, [s].
        wall: UTC, [ns].
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        self._clock = clock
        self._wall = wall
        self._offset_s = self._now()

    def look(self) -> float:
        """By how much the wall clock has jumped since the last look, [s]; 0 where it has not."""
        offset_s, before_s = self._now(), self._offset_s
        if offset_s is None:
            return 0.0
        self._offset_s = offset_s
        return 0.0 if before_s is None else _jump(offset_s - before_s)

    def since(self, at_ns: int, mono_ns: int) -> float:
        """By how much it has jumped since both clocks were read elsewhere, in the same boot of the machine, [s].

        Args:
            at_ns: The wall clock then, UTC, [ns].
            mono_ns: The monotonic clock then, [ns].
        """
        return 0.0 if self._offset_s is None else _jump(self._offset_s - (at_ns - mono_ns) / 1e9)

    def _now(self) -> float | None:
        """How far the wall clock is ahead, [s]; None where the process was never on for long enough to tell."""
        for _ in range(_TRIES):
            before = self._clock()
            wall_ns = self._wall()
            after = self._clock()
            if after - before <= APART_S:
                return wall_ns / 1e9 - (before + after) / 2
        return None


def _jump(by_s: float) -> float:
    return by_s if abs(by_s) >= JUMP_S else 0.0
