"""The arms and hands that inverse kinematics is tested on, and forward kinematics to judge it by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pinocchio as pin

from unichunk.kinematics import FrameGoal, InverseKinematics, robot_model
from unichunk.kinematics.description import robot_description
from unichunk.kinematics.robot_model import frame_index, joint_names


@dataclass(frozen=True)
class Limb:
    """A robot, the goals, and the joints that may move; None: all that move a goal's frame."""

    robot: str
    goals: tuple[FrameGoal, ...]
    joints: tuple[str, ...] | None = None

    @cached_property
    def model(self) -> pin.Model:
        return robot_model(self.robot)

    @cached_property
    def columns(self) -> np.ndarray:
        """Indices of the joints that move a goal's frame and may, found by moving them."""
        model, found = self.model, []
        middle = 0.5 * (model.lowerPositionLimit + model.upperPositionLimit)
        for column, name in enumerate(joint_names(model)):
            q = middle.copy()
            q[column] += 0.1
            if (self.joints is None or name in self.joints) and not np.allclose(self.poses(q), self.poses(middle)):
                found.append(column)
        return np.array(found)

    def solver(self, **settings) -> InverseKinematics:
        return InverseKinematics(self.model, list(self.goals), joints=self.joints, **settings)

    def poses(self, q: np.ndarray) -> np.ndarray:
        """Poses of the goals' frames, (F, 4, 4), by Pinocchio's forward kinematics, which has a test of its own."""
        model, data = self.model, self._data
        pin.framesForwardKinematics(model, data, q)
        return np.array([data.oMf[frame].homogeneous for frame in self._frames])

    def errors(self, q: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances and angles of each goal from its target, (F,) each; 0 where the goal does not ask for it."""
        poses = self.poses(q)
        distances = np.linalg.norm(poses[:, :3, 3] - targets[:, :3, 3], axis=1)
        turns = np.swapaxes(poses[:, :3, :3], 1, 2) @ targets[:, :3, :3]
        # Both halves, for precision near 0 and near pi.
        sine = 0.5 * np.linalg.norm(turns - np.swapaxes(turns, 1, 2), axis=(1, 2)) / np.sqrt(2.0)
        angles = np.arctan2(sine, 0.5 * (np.trace(turns, axis1=1, axis2=2) - 1.0))
        return (
            np.where([goal.has_position for goal in self.goals], distances, 0.0),
            np.where([goal.has_orientation for goal in self.goals], angles, 0.0),
        )

    @cached_property
    def _data(self) -> pin.Data:
        return self.model.createData()

    @cached_property
    def _frames(self) -> list[int]:
        return [frame_index(self.model, goal.frame) for goal in self.goals]

    def middle(self) -> np.ndarray:
        return 0.5 * (self.model.lowerPositionLimit + self.model.upperPositionLimit)

    def random(self, rng: np.random.Generator, size: float = 1.0) -> np.ndarray:
        """Limb at random in the given part of its range, about the middle; everything else in the middle."""
        q = self.middle()
        half = 0.5 * size * (self.model.upperPositionLimit - self.model.lowerPositionLimit)[self.columns]
        q[self.columns] += rng.uniform(-half, half)
        return q


def _arm(robot: str, side: str, of_both: bool) -> Limb:
    """One arm; where there are two, without the joints (the waist's) that move both."""
    ends = robot_description(robot).end_effectors
    if not of_both:
        return Limb(robot, (FrameGoal(ends[side]),))
    model = robot_model(robot)
    names = joint_names(model)
    left, right = (
        {names[column] for column in Limb(robot, (FrameGoal(ends[which]),)).columns} for which in ("left", "right")
    )
    own = left - right if side == "left" else right - left
    return Limb(robot, (FrameGoal(ends[side]),), tuple(name for name in names if name in own))


def _fingers(robot: str) -> Limb:
    hand = next(iter(robot_description(robot).hands.values()))
    return Limb(robot, tuple(FrameGoal(tip, "position") for tip in hand.fingertips.values()))


def _arms(robot: str) -> tuple[FrameGoal, ...]:
    return tuple(FrameGoal(frame) for frame in robot_description(robot).end_effectors.values())


ARMS = {
    "fr3": _arm("fr3", "right", of_both=False),
    "g1_left": _arm("g1", "left", of_both=True),
    "g1_right": _arm("g1", "right", of_both=True),
    "adam_u_left": _arm("adam_u", "left", of_both=True),
    "so101": _arm("so101", "right", of_both=False),
    "d1": _arm("d1", "right", of_both=False),
    "rm75": _arm("rm75", "right", of_both=False),
}
HANDS = {
    name: _fingers(name)
    for name in ("o6_right", "o6_left", "inspire_right", "xhand_right", "sharpa_wave_right", "sharpa_wave_left")
}
BODIES = {
    "g1_two_arms": Limb("g1", _arms("g1"), ARMS["g1_left"].joints + ARMS["g1_right"].joints),
    "g1_with_waist": Limb("g1", _arms("g1")),
    "adam_u_head": Limb("adam_u", (*_arms("adam_u"), FrameGoal("neckPitch", "orientation"))),
    "fr3_position": Limb("fr3", (FrameGoal("fr3_hand_tcp", "position"),)),
    "fr3_orientation": Limb("fr3", (FrameGoal("fr3_hand_tcp", "orientation"),)),
    "fr3_inspire": Limb(
        "fr3_inspire",
        (
            FrameGoal("R_hand_base_link"),
            *(
                FrameGoal(tip, "position")
                for tip in robot_description("fr3_inspire").hands["right"].fingertips.values()
            ),
        ),
    ),
}
LIMBS = ARMS | HANDS | BODIES
