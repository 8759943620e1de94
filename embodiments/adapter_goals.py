"""What actions say of end effectors, as poses in the base, and back: displacements and poses, along any axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.adapter_frames import PolicyFrames
from unichunk.embodiments.adapter_keys import FramePart
from unichunk.embodiments.adapter_rotation import rotation_in
from unichunk.kinematics.displacement import displacement_in, poses_from_steps, steps_from_poses
from unichunk.kinematics.rotation import from_axis_angle
from unichunk.kinematics.transforms import inverse, pose_from
from unichunk.runtime.policy.manifest import BASE_FRAME
from unichunk.runtime.policy.rotation import axis_angle, rotation_width

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.adapter_keys import BoundKey, Quantity
    from unichunk.embodiments.adapter_poses import EndEffectorPoses
    from unichunk.embodiments.spec import EmbodimentSpec, Side
    from unichunk.runtime.policy.manifest import RotationInput

    Values = Mapping[tuple[Side, Quantity], NDArray[np.float64]]


@dataclass(frozen=True)
class _Goal:
    """How the actions speak of one end effector.

    Attributes:
        absolute: Whether they say where it shall be; else by how much it moves from the row before.
        frame: Along whose axes.
        rotation: Form of an absolute rotation.
    """

    absolute: bool = False
    frame: str = BASE_FRAME
    rotation: RotationInput = "axis_angle"


class EndEffectorGoals:
    """Between the values of end effectors in a policy's actions and their poses in the base.

    A frame that a camera gives stands where it is in the row before the first: a chunk is predicted from one picture.

    Args:
        spec: The robot.
        poses: Its end effectors that actions are about.
        keys: The actions, which tell position and rotation of an end effector in the same way.
    """

    def __init__(self, spec: EmbodimentSpec, poses: EndEffectorPoses, keys: Sequence[BoundKey]) -> None:
        self._poses = poses
        told = {
            part.side: _Goal(part.absolute, part.frame, key.rotation if part.quantity == "rotation" else "axis_angle")
            for quantity in ("position", "rotation")
            for key in keys
            for part in key.parts
            if isinstance(part, FramePart) and part.quantity == quantity
        }
        self._goals = [told[side] for side in poses.sides]
        self._frames = PolicyFrames(spec, poses, {goal.frame for goal in self._goals})

    def nothing(self, rows: int) -> dict[tuple[Side, Quantity], NDArray[np.float64]]:
        """Room for the values of all end effectors: position (m, 3) and rotation (m, its width)."""
        values: dict[tuple[Side, Quantity], NDArray[np.float64]] = {}
        for side, goal in zip(self._poses.sides, self._goals, strict=True):
            values[side, "position"] = np.zeros((rows, 3))
            values[side, "rotation"] = np.zeros((rows, rotation_width(goal.rotation)))
        return values

    def targets(self, values: Values, before: NDArray[np.float64]) -> NDArray[np.float64]:
        """Poses in the base.

        Args:
            values: As `nothing`, filled in.
            before: The joint row before the first one, shape (n,), [rad].

        Returns:
            Shape (F, m, 4, 4), [m]; not finite where the values are not, or are no rotation.
        """
        start = self._poses.poses(before[None])[:, 0]
        return np.stack([self._target(place, values, start[place], before) for place in range(len(self._goals))])

    def values(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> Values:
        """What commands joint rows (m, n) after `before` (n,), [rad]: the inverse of `targets`."""
        poses = self._poses.poses(np.concatenate([before[None], joints]))
        values: dict[tuple[Side, Quantity], NDArray[np.float64]] = {}
        for side, goal, of_side in zip(self._poses.sides, self._goals, poses, strict=True):
            frame = self._frames.in_base(goal.frame, before)
            if goal.absolute:
                seen = inverse(frame) @ of_side[1:]
                values[side, "position"] = seen[:, :3, 3]
                values[side, "rotation"] = rotation_in(goal.rotation, seen[:, :3, :3])
            else:
                steps = displacement_in(frame[:3, :3].T, steps_from_poses(of_side[0], of_side[1:]))
                values[side, "position"], values[side, "rotation"] = steps[:, :3], steps[:, 3:]
        return values

    def _target(
        self, place: int, values: Values, start: NDArray[np.float64], before: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        side, goal = self._poses.sides[place], self._goals[place]
        position, rotation = values[side, "position"], values[side, "rotation"]
        frame = self._frames.in_base(goal.frame, before)
        if not goal.absolute:
            return poses_from_steps(start, displacement_in(frame[:3, :3], np.concatenate([position, rotation], axis=1)))
        with np.errstate(invalid="ignore", over="ignore"):
            target: NDArray[np.float64] = frame @ pose_from(_matrices(rotation, goal.rotation), position)
        return target


def _matrices(rotation: NDArray[np.float64], form: RotationInput) -> NDArray[np.float64]:
    """Rotation matrices (m, 3, 3); NaN in all where one is not finite, or no rotation."""
    if np.isfinite(rotation).all():
        try:
            return from_axis_angle(axis_angle(rotation, form))
        except ValueError:
            pass
    return np.full((len(rotation), 3, 3), np.nan)
