"""What inverse kinematics answers: joint positions and an honest word on every row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RowStatus(IntEnum):
    """How a row ended; the larger, the worse."""

    CONVERGED = 0
    """Every goal is within tolerance."""
    VELOCITY_LIMITED = 1
    """Joints could not move fast enough for what could be reached; the row is the nearest configuration found."""
    UNREACHABLE = 2
    """No configuration within tolerance was found, with all the time in the world; the row is the nearest one found."""
    INVALID_INPUT = 3
    """A target holds a number that is not finite or out of all proportion, or a matrix that is no rotation: the limb
    stays where it was. Or the start is not finite or far outside the limits: the row must not be followed."""


@dataclass(frozen=True)
class Solution:
    """Joint positions for T rows of targets for F goals.

    Attributes:
        q: Joint positions, shape (T, nq), [rad] or [m], in the model's order, always finite and within the limits.
            Joints that move no goal's frame, or may not move, stay where they were at the start.
        status: One `RowStatus` per row, shape (T,).
        position_error: Distance of each frame from its target, shape (T, F), [m]; 0 where the goal has no position,
            infinite where the input is invalid.
        rotation_error: Angle between each frame and its target, shape (T, F), [rad]; 0 where the goal has no
            orientation, infinite where the input is invalid.
        iterations: Steps taken, shape (T,), over all limbs and attempts of the pass that the row is from.
        attempts: Starting configurations tried, shape (T,), the largest of all limbs.
    """

    q: NDArray[np.float64]
    status: NDArray[np.int8]
    position_error: NDArray[np.float64]
    rotation_error: NDArray[np.float64]
    iterations: NDArray[np.int64]
    attempts: NDArray[np.int64]

    @cached_property
    def converged(self) -> NDArray[np.bool_]:
        """Whether every goal of a row is within tolerance, shape (T,)."""
        converged: NDArray[np.bool_] = self.status == RowStatus.CONVERGED
        return converged
