"""The target's path over the table: random, but a pure function of seed and time, so that a run can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

REGION_X: Final = (0.18, 0.30)
"""Where the target may be: extent along x of the robot's base, [m]."""

REGION_Y: Final = (-0.12, 0.12)
"""Extent along y of the robot's base, [m]."""

SPEED: Final = (0.03, 0.12)
"""Slowest and fastest speed of the target while it moves, [m/s]."""

PAUSE_PROBABILITY: Final = 0.25
PAUSE: Final = (0.3, 1.5)
"""Shortest and longest pause, [s]."""

LEG_SHARE: Final = (0.25, 1.0)
"""How much of the way to a waypoint is gone before the next is drawn: small shares are sudden changes of direction."""


class TargetPath:
    """Straight legs at random speeds towards random waypoints, cut short at random, with occasional pauses.

    Args:
        seed: Paths of equal seeds are equal.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 0x7A26])
        self._times = [0.0]
        self._points = [self._waypoint()]

    def position(self, time: ArrayLike) -> NDArray[np.float64]:
        """Where the target is.

        Args:
            time: Seconds since the path's start, not negative, any shape, [s].

        Returns:
            Positions on the table in the base link, shape (..., 2), [m].
        """
        time = np.asarray(time, dtype=np.float64)
        while self._times[-1] < time.max(initial=0.0):
            self._extend()
        points = np.array(self._points)
        return np.stack([np.interp(time, self._times, points[:, axis]) for axis in (0, 1)], axis=-1)

    def _extend(self) -> None:
        here = self._points[-1]
        if self._random.random() < PAUSE_PROBABILITY:
            self._times.append(self._times[-1] + self._random.uniform(*PAUSE))
            self._points.append(here)
        leg = (self._waypoint() - here) * self._random.uniform(*LEG_SHARE)
        self._times.append(self._times[-1] + max(float(np.hypot(*leg)), 1e-3) / self._random.uniform(*SPEED))
        self._points.append(here + leg)

    def _waypoint(self) -> NDArray[np.float64]:
        return np.array([self._random.uniform(*REGION_X), self._random.uniform(*REGION_Y)])
