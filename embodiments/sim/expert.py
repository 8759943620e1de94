"""The scripted expert: a first-order tracker in joint space that sees the true target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

GAIN: Final = 0.45
"""Share of the remaining way that one row goes."""

VELOCITY_SHARE: Final = 0.5
"""Largest step of a row, as a share of the joints' velocity limits: room for the guard, and for noise on top."""


class Expert:
    """Goes on from the last executed row towards a goal.

    Args:
        spec: The robot.

    Attributes:
        max_step: Largest step from row to row, shape (n,), [rad].
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        self.max_step = VELOCITY_SHARE * spec.limits.velocity / spec.action_hz

    def next_row(self, last: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
        """The row after `last`; both and the result of shape (..., n), [rad]."""
        return last + np.clip(GAIN * (goal - last), -self.max_step, self.max_step)

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
