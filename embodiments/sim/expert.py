"""The scripted expert: a first-order tracker in joint space that sees the true target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

TIME_CONSTANT_S: Final = -0.05 / np.log(1.0 - 0.45)
"""Time in which all but 1/e of the way is gone, [s]: 0.45 of it in a row of 50 ms."""

VELOCITY_SHARE: Final = 0.5
"""Largest speed, as a share of the joints' velocity limits: room for the guard, and for noise on top."""

ACCELERATION_SHARE: Final = 0.8
"""Largest change of speed between two rows, as a share of the acceleration limits."""

LEAST_SPEED: Final = 0.5
"""A joint may go this fast even where it cannot get there within a row, [rad/s]: slower ones follow nobody. It is then
given more time for the rest of the way, so that it can brake."""


class Expert:
    """Goes on from the last executed row towards a goal, equally fast whatever the number of rows a second.

    Args:
        spec: The robot.

    Attributes:
        max_step: Largest step from row to row, shape (n,), [rad].
        gain: Share of the remaining way that a row goes, shape (n,).
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        period_s = 1.0 / spec.action_hz
        acceleration = ACCELERATION_SHARE * spec.limits.acceleration
        speed = np.minimum(VELOCITY_SHARE * spec.limits.velocity, np.maximum(acceleration * period_s, LEAST_SPEED))
        self.max_step: NDArray[np.float64] = speed * period_s
        self.gain: NDArray[np.float64] = 1.0 - np.exp(-period_s / np.maximum(TIME_CONSTANT_S, speed / acceleration))

    def next_row(self, last: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
        """The row after `last`; both and the result of shape (..., n), [rad]."""
        return last + np.clip(self.gain * (goal - last), -self.max_step, self.max_step)

    def continuation(self, last: NDArray[np.float64], goal: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """The plan from `last` towards a goal that stands still.

        Args:
            last: Row before the first, shape (..., n), [rad].
            goal: Shape (..., n), [rad].
            length: Number of rows.

        Returns:
            Shape (..., length, n), [rad].
        """
        rows = []
        for _ in range(length):
            last = self.next_row(last, goal)
            rows.append(last)
        return np.stack(rows, axis=-2)
