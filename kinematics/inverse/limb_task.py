"""The task errors of one limb and how they change with its joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.kinematics.robot_model import frame_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.goals import FrameGoal


NEARLY_ALIGNED: Final = 2.99
"""Trace of a rotation error, 1 + 2 cos(angle), above which its logarithm is as good as linear: 0.1 rad."""


@dataclass(frozen=True)
class Tolerance:
    """What counts as reached.

    Attributes:
        position: Distance, [m].
        rotation: Angle, [rad].
    """

    position: float
    rotation: float


class _Part:
    """One goal's place in the stacked error, and its target."""

    def __init__(self, model: pin.Model, goal: FrameGoal, first_row: int) -> None:
        self.frame = frame_index(model, goal.frame)
        middle = first_row + 3 * goal.has_position
        self.position_rows = slice(first_row, middle)
        self.rotation_rows = slice(middle, middle + 3 * goal.has_orientation)
        self.rows = slice(first_row, self.rotation_rows.stop)
        self.jacobian_rows = slice(0 if goal.has_position else 3, 6 if goal.has_orientation else 3)
        self.has_position, self.has_orientation = goal.has_position, goal.has_orientation
        self.position = np.zeros(3)
        self.rotation = np.eye(3)


class LimbTask:
    """Stacked, weighted errors of goals that share joints.

    The error of a goal is the difference of positions, [m], followed by the rotation vector that turns the frame onto
    its target, log(R_target R_frame^T), [rad], times a length: both in the axes of the model's base. The Jacobian is
    the geometric one in these axes (Siciliano et al., Robotics, 2009, section 3.7), for the rotation vector multiplied
    with the derivative of the logarithm, which is left out where the error is small.

    Args:
        model: The robot.
        goals: The goals, at least one.
        columns: Indices into q of the joints that may move, shape (n,), ascending.
        rotation_length: What a radian counts for, [m].
        tolerance: What counts as reached.

    Attributes:
        joints: What selects the limb's joints from q: the columns, or a slice where they are contiguous. Take a copy.
        tolerances: Largest weighted distance or angle, of each stacked error, that counts as reached, shape (m,), [m].
    """

    def __init__(
        self,
        model: pin.Model,
        goals: Sequence[FrameGoal],
        columns: NDArray[np.int64],
        rotation_length: float,
        tolerance: Tolerance,
    ) -> None:
        self._model, self._data = model, model.createData()
        self._parts: list[_Part] = []
        scales: list[float] = []
        tolerances: list[float] = []
        for goal in goals:
            self._parts.append(_Part(model, goal, len(scales)))
            rotation_scale = goal.weight * rotation_length
            scales += [goal.weight] * (3 * goal.has_position) + [rotation_scale] * (3 * goal.has_orientation)
            tolerances += [goal.weight * tolerance.position] * (3 * goal.has_position)
            tolerances += [rotation_scale * tolerance.rotation] * (3 * goal.has_orientation)
        self.tolerances = np.array(tolerances)
        self._squared_tolerances = [value * value for value in tolerances]
        self._scales = np.array(scales)
        self._jacobian_shape = (len(scales), len(columns))
        self._scale_column = self._scales[:, None].copy()
        contiguous = np.array_equal(columns, np.arange(columns[0], columns[0] + len(columns)))
        self.joints: slice | NDArray[np.int64] = columns
        if contiguous:
            self.joints = slice(int(columns[0]), int(columns[-1]) + 1)

    @property
    def size(self) -> int:
        """Number of stacked errors, m."""
        return len(self._scales)

    def aim(self, targets: NDArray[np.float64]) -> None:
        """Set the targets: poses in the model's base, shape (F, 4, 4), [m]."""
        for part, target in zip(self._parts, targets, strict=True):
            part.position = target[:3, 3]
            part.rotation = target[:3, :3]

    def evaluate(self, q: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Error at q, shape (nq,), and what a small motion of the limb takes away from it.

        Returns:
            The error, shape (m,), [m], and minus its derivative with respect to the limb's joints, shape (m, n),
            [m/rad] or [m/m].
        """
        error, jacobian = np.empty(self.size), np.empty(self._jacobian_shape)
        for part in self._parts:
            full = pin.computeFrameJacobian(self._model, self._data, q, part.frame, pin.LOCAL_WORLD_ALIGNED)
            if full.ndim == 1:  # eigenpy's way with a model of one joint
                full = full[:, None]
            placement = pin.updateFramePlacement(self._model, self._data, part.frame)
            jacobian[part.rows] = full[part.jacobian_rows, self.joints]
            if part.has_position:
                error[part.position_rows] = part.position - placement.translation
            if part.has_orientation:
                turn = part.rotation @ placement.rotation.T
                error[part.rotation_rows] = pin.log3(turn)
                if turn[0, 0] + turn[1, 1] + turn[2, 2] < NEARLY_ALIGNED:
                    jacobian[part.rotation_rows] = pin.Jlog3(turn) @ jacobian[part.rotation_rows]
        error *= self._scales
        jacobian *= self._scale_column
        return error, jacobian

    def reached(self, error: NDArray[np.float64]) -> bool:
        """Whether every goal is within tolerance."""
        values, squared = error.tolist(), self._squared_tolerances
        for first_row in range(0, len(values), 3):
            x, y, z = values[first_row : first_row + 3]
            if not x * x + y * y + z * z <= squared[first_row]:  # not a number is not reached
                return False
        return True

    def unweighted(self, errors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances, [m], and angles, [rad], of each goal, both of shape (T, F); 0 where the goal does not ask for it.

        Args:
            errors: Weighted errors of T rows, shape (T, m).
        """
        plain = errors / self._scales
        distances = [np.linalg.norm(plain[:, part.position_rows], axis=1) for part in self._parts]
        angles = [np.linalg.norm(plain[:, part.rotation_rows], axis=1) for part in self._parts]
        return np.stack(distances, axis=1), np.stack(angles, axis=1)
