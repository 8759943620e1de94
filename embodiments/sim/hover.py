"""Inverse kinematics of the follow task: the tool over a point, pointing down as far as the arm allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.model import KinematicModel, urdf_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

TILT_WEIGHT: Final = 0.005
"""What a radian of tilt costs, in metres of position error: position first, then the tool's direction."""

POSTURE_WEIGHT: Final = 2e-3
"""What a radian away from the rest pose costs, [m]: decides whatever the tool leaves open, and keeps the roll still."""

LIMIT_WEIGHT: Final = 0.1
"""What a radian beyond `LIMIT_MARGIN` before a position limit costs, [m]: keeps the solution smooth near limits."""

LIMIT_MARGIN: Final = 0.15
"""Distance kept from the position limits where that is possible, [rad]."""

ITERATIONS: Final = 25
DAMPING: Final = 1e-6


class HoverSolver:
    """Joint positions that bring the tool frame to given points, z axis down.

    The solution starts from the rest pose turned towards the point, not from the one before: it is a function of the
    point alone, and neighbouring points have neighbouring solutions.

    Args:
        spec: The robot; its first joint turns the arm about the vertical.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        self._model = KinematicModel.from_urdf(urdf_path(spec.model), spec.joint_names)
        self._frame = spec.tool_frame
        self._rest = spec.rest
        self._lower, self._upper = spec.limits.lower, spec.limits.upper
        pan = self._model.joints[spec.joint_names[0]]
        self._pan_axis_xy = pan.origin[:2, 3]
        self._pan_sign = np.sign(pan.origin[2, 2])

    def position(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position of the tool frame in the base link.

        Args:
            q: Joint positions, shape (..., n), [rad].

        Returns:
            Shape (..., 3), [m].
        """
        return self._model.frame_pose(q, self._frame)[..., :3, 3]

    def solve(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joint positions for points in the base link.

        Args:
            points: Shape (..., 3), [m].

        Returns:
            Shape (..., n), [rad], within the position limits; joints that do not move the tool stay at rest.
        """
        offset = points[..., :2] - self._pan_axis_xy
        q = np.broadcast_to(self._rest, (*points.shape[:-1], self._rest.size)).copy()
        q[..., 0] = self._pan_sign * np.arctan2(offset[..., 1], offset[..., 0])
        posture = q.copy()
        for _ in range(ITERATIONS):
            q = np.clip(q + self._step(q, points, posture), self._lower, self._upper)
        return q

    def _step(
        self, q: NDArray[np.float64], points: NDArray[np.float64], posture: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """One damped Gauss-Newton step on position, tilt, posture and limits."""
        pose = self._model.frame_pose(q, self._frame)
        jacobian = self._model.frame_jacobian(q, self._frame)
        tool_axis = pose[..., :3, 2]
        # The axis turns with angular velocity w at w x axis; its horizontal part is the tilt.
        turn = np.cross(np.swapaxes(jacobian[..., 3:, :], -1, -2), tool_axis[..., None, :])
        eye = np.broadcast_to(np.eye(self._rest.size), (*q.shape[:-1], self._rest.size, self._rest.size))
        slope = np.concatenate(
            [jacobian[..., :3, :], TILT_WEIGHT * np.swapaxes(turn, -1, -2)[..., :2, :], POSTURE_WEIGHT * eye], axis=-2
        )
        residual = np.concatenate(
            [points - pose[..., :3, 3], -TILT_WEIGHT * tool_axis[..., :2], POSTURE_WEIGHT * (posture - q)], axis=-1
        )
        beyond = np.clip(q, self._lower + LIMIT_MARGIN, self._upper - LIMIT_MARGIN) - q
        slope = np.concatenate([slope, LIMIT_WEIGHT * eye * (beyond != 0.0)[..., None]], axis=-2)
        residual = np.concatenate([residual, LIMIT_WEIGHT * beyond], axis=-1)
        transposed = np.swapaxes(slope, -1, -2)
        normal = transposed @ slope + DAMPING * np.eye(self._rest.size)
        step: NDArray[np.float64] = np.linalg.solve(normal, transposed @ residual[..., None])[..., 0]
        return np.clip(step, -0.5, 0.5)
