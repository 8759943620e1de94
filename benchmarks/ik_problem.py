"""One case of the benchmark with its model: forward kinematics, limits, and what counts as solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.kinematics.robot_model import frame_index, robot_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_cases import Case

LIMIT_SLACK: Final = 1e-6
"""How far beyond its limit a joint may be, [rad]: the rounding that quadratic programs leave."""

ROUNDING: Final = 1e-9
"""Errors may be larger than their tolerance by this, [m] or [rad]: solver and judge round differently."""


@dataclass(frozen=True)
class Tolerance:
    """What counts as reached: distance, [m], and angle, [rad]."""

    position: float
    rotation: float


@dataclass(frozen=True)
class Verdict:
    """What a configuration is worth.

    Attributes:
        solved: Whether every goal is within tolerance and every joint within its limits.
        position_error: Distance of each frame from its target, shape (F,), [m].
        rotation_error: Angle between each frame and its target, shape (F,), [rad].
    """

    solved: bool
    position_error: NDArray[np.float64]
    rotation_error: NDArray[np.float64]


class Problem:
    """A case with its model.

    Attributes:
        case: What it was made from.
        model: The whole robot.
        columns: Indices into q of the joints that may move, shape (n,).
        lower: Lower limits of these joints, shape (n,), [rad].
        upper: Upper limits of these joints, shape (n,), [rad].
        velocity: Velocity limits of these joints, shape (n,), [rad/s].
        start: These joints in the middle of their range, all others at zero or the limit next to it, shape (nq,).
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model = robot_model(case.robot)
        self._data = self.model.createData()
        self._frames = [frame_index(self.model, goal.frame) for goal in case.goals]
        columns = self._moving()
        self.columns = np.array(sorted(columns))
        lower, upper = self.model.lowerPositionLimit, self.model.upperPositionLimit
        self.lower, self.upper = lower[self.columns], upper[self.columns]
        self.velocity = self.model.velocityLimit[self.columns]
        self.start = np.clip(np.zeros(self.model.nq), lower, upper)
        self.start[self.columns] = 0.5 * (self.lower + self.upper)

    @property
    def joints(self) -> list[str]:
        """Names of the joints that may move."""
        return [self._name(column) for column in self.columns]

    @property
    def locked(self) -> dict[str, float]:
        """Joints that may not move, and where they are, [rad]."""
        others = sorted(set(range(self.model.nv)) - set(self.columns.tolist()))
        return {self._name(column): float(self.start[column]) for column in others}

    def random(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """A configuration, uniform within the limits of the joints that may move, shape (nq,)."""
        return self.whole(rng.uniform(self.lower, self.upper))

    def whole(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """All joints, shape (nq,), from those that may move, shape (n,)."""
        q = self.start.copy()
        q[self.columns] = x
        return q

    def poses(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the frames are, shape (F, 4, 4), [m]."""
        pin.framesForwardKinematics(self.model, self._data, q)
        return np.stack([self._data.oMf[frame].homogeneous for frame in self._frames])

    def smallest_stretch(self, q: NDArray[np.float64]) -> float:
        """Smallest singular value of the first frame's Jacobian, of the joints that may move: 0 where it is singular.

        Metres and radians count alike.
        """
        jacobian = pin.computeFrameJacobian(self.model, self._data, q, self._frames[0], pin.LOCAL_WORLD_ALIGNED)
        return float(np.linalg.svd(jacobian[:, self.columns], compute_uv=False)[-1])

    def judge(self, q: NDArray[np.float64], targets: NDArray[np.float64], tolerance: Tolerance) -> Verdict:
        """What a configuration is worth, whatever its solver says.

        Args:
            q: Shape (nq,), [rad].
            targets: Shape (F, 4, 4), [m].
            tolerance: What counts as reached.
        """
        poses = self.poses(q)
        distances = np.linalg.norm(poses[:, :3, 3] - targets[:, :3, 3], axis=1)
        angles = np.array([_angle(one[:3, :3], other[:3, :3]) for one, other in zip(poses, targets, strict=True)])
        distances[[not goal.has_position for goal in self.case.goals]] = 0.0
        angles[[not goal.has_orientation for goal in self.case.goals]] = 0.0
        near = distances.max() <= tolerance.position + ROUNDING and angles.max() <= tolerance.rotation + ROUNDING
        return Verdict(bool(near and self.within_limits(q)), distances, angles)

    def within_limits(self, q: NDArray[np.float64]) -> bool:
        """Whether all joints are within their limits, and those at their place that may not move."""
        x, moved = q[self.columns], q != self.start
        moved[self.columns] = False
        inside = (x >= self.lower - LIMIT_SLACK) & (x <= self.upper + LIMIT_SLACK)
        return bool(inside.all() and not moved.any())

    def _moving(self) -> set[int]:
        model = self.model
        chains = [model.supports[model.frames[frame].parentJoint] for frame in self._frames]
        columns = {int(model.joints[joint].idx_v) for chain in chains for joint in chain if joint}
        return {column for column in columns if self._name(column) not in self.case.locked}

    def _name(self, column: int) -> str:
        driven = set(self.model.mimicking_joints)
        for number, joint in enumerate(self.model.joints):
            if number and number not in driven and joint.idx_v == column:
                return str(self.model.names[number])
        raise LookupError(f"{self.model.name} has no joint at {column}")


def _angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Angle between two orientations, exact for small and for large ones, [rad]."""
    turn = one.T @ other
    sine = 0.5 * np.linalg.norm([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return float(np.arctan2(sine, 0.5 * (np.trace(turn) - 1.0)))
