"""The target's path over the table: random, but a pure function of seed and time, so that a run can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

REGION_X: Final = (0.17, 0.31)
"""Where the target may be: extent along x of the robot's base, [m]."""

REGION_Y: Final = (-0.15, 0.15)
"""Extent along y of the robot's base, [m]."""

SPEED: Final = (0.03, 0.10)
"""Slowest and fastest speed of the target while it moves, [m/s]."""

PAUSE_PROBABILITY: Final = 0.25
PAUSE: Final = (0.3, 1.5)
"""Shortest and longest pause, [s]."""

LEG_SHARE: Final = (0.35, 1.0)
"""How much of the way to a waypoint is gone before the next is drawn: small shares are sudden changes of direction."""


class TargetPath:
    """Straight legs at random speeds towards random waypoints, cut short at random, with occasional pauses.

    Args:
        seed: Paths of equal seeds are equal.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 0x7A26])
        self._times = np.zeros(1)
        self._points = self._waypoint()[None]

    def position(self, time: ArrayLike) -> NDArray[np.float64]:
        """Where the target is.

        Args:
            time: Seconds since the path's start, not negative, any shape, [s].

        Returns:
            Positions on the table in the base link, shape (..., 2), [m].
        """
        time = np.asarray(time, dtype=np.float64)
        latest = float(time.max(initial=0.0))
        if self._times[-1] < latest:
            self._extend(latest)
        return np.stack([np.interp(time, self._times, self._points[:, axis]) for axis in (0, 1)], axis=-1)

    def _extend(self, latest: float) -> None:
        """Draw legs and pauses until the path reaches well past a time, [s]: seldom some work, then cheap reads."""
        times, points = list(self._times), list(self._points)
        while times[-1] < latest + 10.0:
            if self._random.random() < PAUSE_PROBABILITY:
                times.append(times[-1] + self._random.uniform(*PAUSE))
                points.append(points[-1])
            leg = (self._waypoint() - points[-1]) * self._random.uniform(*LEG_SHARE)
            times.append(times[-1] + max(float(np.hypot(*leg)), 1e-3) / self._random.uniform(*SPEED))
            points.append(points[-1] + leg)
        self._times, self._points = np.array(times), np.array(points)

    def _waypoint(self) -> NDArray[np.float64]:
        return np.array([self._random.uniform(*REGION_X), self._random.uniform(*REGION_Y)])
