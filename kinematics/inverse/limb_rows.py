"""The rows of one limb, each from the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from unichunk.kinematics.inverse.solution import RowStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.descent import Descent
    from unichunk.kinematics.inverse.limb_task import LimbTask


@dataclass(frozen=True)
class LimbTargets:
    """What a limb is asked for.

    Attributes:
        poses: Targets in the model's base, shape (T, F, 4, 4), [m].
        valid: Rows that can be aimed at, shape (T,).
        q: All joints at the start, shape (nq,), within the limits.
    """

    poses: NDArray[np.float64]
    valid: NDArray[np.bool_]
    q: NDArray[np.float64]


class RowResult(NamedTuple):
    """What became of one row: where it ended, and the steps and starts that it took."""

    descent: Descent
    status: RowStatus
    iterations: int
    attempts: int


class RowSolver(Protocol):
    """Finds the joints of one row; the task is aimed already."""

    def __call__(
        self, q: NDArray[np.float64], x: NDArray[np.float64], row: int, last_step: NDArray[np.float64], /
    ) -> RowResult:
        """Solve.

        Args:
            q: All joints, shape (nq,); the limb's own may be overwritten.
            x: The limb's joints in the row before, shape (n,).
            row: Index of the row.
            last_step: What brought the limb from the row before that one to x, shape (n,).
        """


@dataclass(frozen=True)
class LimbRows:
    """A limb's part of a solution; shapes as in `Solution`, for the limb's n joints and F goals."""

    x: NDArray[np.float64]
    status: NDArray[np.int8]
    position_error: NDArray[np.float64]
    rotation_error: NDArray[np.float64]
    iterations: NDArray[np.int64]
    attempts: NDArray[np.int64]

    @property
    def missed(self) -> int:
        """Number of rows that did not converge."""
        return int(np.count_nonzero(self.status))


def solve_rows(task: LimbTask, asked: LimbTargets, solver: RowSolver) -> LimbRows:
    """Solve row after row; rows that cannot be aimed at stay where the one before was."""
    count = len(asked.poses)
    q = asked.q.copy()
    x = q[task.joints].copy()
    last_step = np.zeros_like(x)
    joints = np.empty((count, len(x)))
    status = np.full(count, RowStatus.INVALID_INPUT, dtype=np.int8)
    errors = np.full((count, task.size), np.inf)
    iterations, attempts = np.zeros((2, count), dtype=np.int64)
    for row in range(count):
        previous = x
        if asked.valid[row]:
            task.aim(asked.poses[row])
            descent, status[row], iterations[row], attempts[row] = solver(q, x, row, last_step)
            x, errors[row] = descent.x, descent.error
        q[task.joints] = joints[row] = x
        last_step = x - previous
    distances, angles = task.unweighted(errors)
    return LimbRows(joints, status, distances, angles, iterations, attempts)
