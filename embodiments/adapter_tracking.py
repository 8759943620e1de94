"""End-effector displacements to joint rows, by inverse kinematics."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.errors import SpecError
from unichunk.kinematics.displacement import poses_from_steps
from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.inverse.goals import FrameGoal
from unichunk.kinematics.inverse.inverse_kinematics import InverseKinematics
from unichunk.kinematics.inverse.solution import RowStatus
from unichunk.kinematics.robot_model import frame_index, joint_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.adapter_poses import EndEffectorPoses
    from unichunk.embodiments.spec import EmbodimentSpec, Side
    from unichunk.kinematics.inverse.goals import GoalKind


@dataclass
class TrackingCounts:
    """How the rows that were asked of inverse kinematics ended.

    Attributes:
        rows: Rows asked for.
        velocity_limited: Joints could not move fast enough; the row is the nearest one in time.
        unreachable: No configuration within the limits was found; the row is the nearest one.
        invalid: The displacement is not finite, or out of all proportion.
    """

    rows: int = 0
    velocity_limited: int = 0
    unreachable: int = 0
    invalid: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


class EndEffectorTracking:
    """Follows end-effector displacements within position and velocity limits; all end effectors together.

    An instance holds buffers: one thread at a time.

    Args:
        spec: The robot.
        poses: Its end effectors, whose displacements are followed.
        kinds: By side: the whole pose, or the position alone.

    Raises:
        SpecError: Where no joint of its groups moves an end effector, or one of another group behind them, or inverse
            kinematics cannot be made for the model.
    """

    def __init__(self, spec: EmbodimentSpec, poses: EndEffectorPoses, kinds: Mapping[Side, GoalKind]) -> None:
        self._poses = poses
        model, ends = poses.model, [spec.end_effectors[side] for side in poses.sides]
        groups = {name for end in ends for name in end.groups}
        self._moved = np.array([i for name in spec.groups if name in groups for i in spec.joint_index(name)])
        velocity = np.array(model.velocityLimit)
        velocity[poses.columns] = spec.limits.velocity
        names = [spec.joint_names[i] for i in self._moved]
        self._roots = [_Root.of(spec, poses, side, set(names)) for side in poses.sides]
        try:
            self._ik = InverseKinematics(
                model,
                [FrameGoal(spec.end_effectors[side].frame, kinds[side]) for side in poses.sides],
                joints=names,
                velocity_limit=velocity,
            )
        except KinematicsError as error:
            raise SpecError(f"embodiment.end_effectors of {spec.name}: {error}") from None
        self._dt = 1.0 / spec.action_hz
        self.counts = TrackingCounts()

    def follow(self, steps: NDArray[np.float64], before: NDArray[np.float64], rows: NDArray[np.float64]) -> None:
        """Put the joints that follow the displacements into joint rows, as `reach` does.

        Args:
            steps: Displacements in the base, each from the row before it, shape (F, m, 6), [m] and [rad].
            before: The joint row before the first one, shape (n,), [rad].
            rows: Joint rows, shape (m, n), [rad]; the joints that others move are in them already.
        """
        self.reach(poses_from_steps(self._poses.poses(before[None])[:, 0], steps), before, rows)

    def reach(self, targets: NDArray[np.float64], before: NDArray[np.float64], rows: NDArray[np.float64]) -> None:
        """Put the joints that bring the end effectors to poses into joint rows.

        Rows that cannot be reached are the nearest that can. Where a pose is not finite nor are the rows: a policy gone
        wrong must not pass for one that stands still.

        Args:
            targets: Poses in the base, shape (F, m, 4, 4), [m].
            before: The joint row before the first one, shape (n,), [rad].
            rows: Joint rows, shape (m, n), [rad]; the joints that others move are in them already.
        """
        self.counts.rows += len(rows)
        if not np.isfinite(targets).all() or not np.isfinite(rows).all():
            rows[:, self._moved] = np.nan
            self.counts.invalid += len(rows)
            return
        start = self._poses.configurations(before[None])
        for place, root in enumerate(self._roots):
            if root.carriers.size and (rows[:, root.carriers] != before[root.carriers]).any():
                targets[place] = self._as_at_the_start(targets[place], root.joint, start, rows)
        solution = self._ik.solve(np.moveaxis(targets, 0, 1), start[0], dt=self._dt)
        rows[:, self._moved] = solution.q[:, self._poses.columns[self._moved]]
        for status, name in _COUNTED.items():
            setattr(self.counts, name, getattr(self.counts, name) + int((solution.status == status).sum()))

    def _as_at_the_start(
        self, targets: NDArray[np.float64], joint: int, start: NDArray[np.float64], rows: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Targets (m, 4, 4) that stand to the limb's root at the start as the given ones do to the root in their rows.

        The solver leaves the joints that carry the limb where they were at the start, and others move them.
        """
        there = self._poses.joint_poses(start, joint)[0]
        turned = self._poses.joint_poses(self._poses.configurations(rows), joint)
        back = np.swapaxes(turned[:, :3, :3], 1, 2)
        seen = np.tile(np.eye(4), (len(rows), 1, 1))
        seen[:, :3, :3] = np.einsum("mij,mjk->mik", back, targets[:, :3, :3])
        seen[:, :3, 3] = np.einsum("mij,mj->mi", back, targets[:, :3, 3] - turned[:, :3, 3])
        as_then: NDArray[np.float64] = np.einsum("ij,mjk->mik", there, seen)
        return as_then


_COUNTED = {
    RowStatus.VELOCITY_LIMITED: "velocity_limited",
    RowStatus.UNREACHABLE: "unreachable",
    RowStatus.INVALID_INPUT: "invalid",
}


@dataclass(frozen=True)
class _Root:
    """What carries a limb: a joint of the model, and the places of all joints up to it in command order."""

    joint: int
    carriers: NDArray[np.int64]

    @classmethod
    def of(cls, spec: EmbodimentSpec, poses: EndEffectorPoses, side: Side, moved: set[str]) -> _Root:
        model, frame = poses.model, spec.end_effectors[side].frame
        names = joint_names(model)
        supports = model.supports[model.frames[frame_index(model, frame)].parentJoint]
        # A joint that mimics another counts as that one.
        chain = [(joint, names[model.joints[joint].idx_v]) for joint in supports if joint]
        first = next((i for i, (_, name) in enumerate(chain) if name in moved), None)
        if first is None:
            raise SpecError(
                f"embodiment.end_effectors.{side}.frame: none of the joints of its groups moves {frame!r}; expected a "
                "frame that they carry"
            )
        behind = [name for _, name in chain[first:] if name not in moved and name in spec.joint_names]
        if behind:
            raise SpecError(
                f"embodiment.end_effectors.{side}.frame: {frame} hangs on {', '.join(behind)}, which no group of its "
                "end effector has; expected a frame that its own groups carry"
            )
        carriers = [spec.joint_names.index(name) for _, name in chain[:first] if name in spec.joint_names]
        return cls(chain[first - 1][0] if first else 0, np.array(carriers, np.int64))
