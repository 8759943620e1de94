"""Hands whose actions are not their joints: those of a human hand, or fingertips in the wrist's frame."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.model import spec_model
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.retarget import (
    FINGERS,
    FingertipRetargeting,
    HandJointMap,
    RobotHand,
    average_hand,
    fit_hand_scale,
    hand_joint_map,
    mapped_hands,
)
from unichunk.kinematics.robot_model import joint_names
from unichunk.runtime.errors import BundleError

if TYPE_CHECKING:
    import pinocchio as pin
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec, Side

JOINTS = 15
"""Of a human hand (MANO)."""


class HumanJointsPart:
    """A hand that turns its joints as the human joints next to them do (VITRA).

    Args:
        spec: The robot.
        side: Which hand.

    Attributes:
        groups: The hand's groups.
        width: Values of a row: axis-angle of 15 joints.

    Raises:
        BundleError: No table says which human joints those of this hand follow.
    """

    width = 3 * JOINTS

    def __init__(self, spec: EmbodimentSpec, side: Side) -> None:
        self.groups = hand_groups(spec, side)
        self._map = _joint_map(spec, side)
        self._index = [spec.joint_names.index(name) for name in self._map.joint_names]

    def values(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rotations (m, 45) of the human hand that stands as joint rows (m, n) do."""
        return self._map.to_human(joints[:, self._index]).reshape(len(joints), self.width)

    def write(self, values: NDArray[np.float32], joints: NDArray[np.float64]) -> None:
        """Put the joints that follow rotations (m, 45) into joint rows (m, n); not finite where those are not."""
        rotations = np.asarray(values, np.float64).reshape(len(values), JOINTS, 3)
        joints[:, self._index] = self._map.to_robot(rotations)


class FingertipsPart:
    """A hand whose fingertips go where a human's of average size would be (METIS).

    Args:
        spec: The robot.
        side: Which hand.

    Attributes:
        groups: The hand's groups.
        width: Values of a row: positions of five fingertips in the wrist's frame (`kinematics.retarget.mano`), thumb
            first, [m]; those of fingers that the robot does not have are passed over.

    Raises:
        BundleError: The robot is none that ships, so that nobody knows its fingertips.
    """

    width = 3 * len(FINGERS)

    def __init__(self, spec: EmbodimentSpec, side: Side) -> None:
        self.groups = hand_groups(spec, side)
        model = _model(spec)
        names = joint_names(model)
        self._columns = [names.index(name) for name in spec.joint_names]
        hands = robot_description(spec.model).hands if spec.model in robot_names() else {}
        if side not in hands:
            raise BundleError(
                f"fingertips of {spec.name}'s {side} hand are asked for, and nothing says where they are; expected a "
                f"robot that ships, or a policy in joint form"
            )
        self._hand = RobotHand(model, hands[side], side)
        self._scale = fit_hand_scale(average_hand(side).landmarks(), self._hand.landmarks())
        self._retargeting = FingertipRetargeting(self._hand, self._scale)
        self._dt = 1.0 / spec.action_hz
        self._fingers = [FINGERS.index(finger) for finger in self._retargeting.fingers]
        own = [name for name in self._hand.joint_names if name in spec.joint_names]
        self._index = [spec.joint_names.index(name) for name in own]
        self._own_columns = [names.index(name) for name in own]
        # Forward kinematics has one buffer, and rows may be asked for from several threads.
        self._lock = threading.Lock()

    def values(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fingertips (m, 15) of the human hand that stands as joint rows (m, n) do; zeros of fingers it lacks."""
        points = np.zeros((len(joints), len(FINGERS), 3))
        hand_fingers = [self._hand.fingers.index(finger) for finger in self._retargeting.fingers]
        with self._lock:
            tips = self._hand.fingertips_in_palm(self._configurations(joints))
        points[:, self._fingers] = self._scale.to_source(tips[:, hand_fingers])
        return points.reshape(len(joints), self.width)

    def write(self, values: NDArray[np.float32], joints: NDArray[np.float64]) -> None:
        """Put the joints that bring fingertips to (m, 15) into joint rows (m, n), from what is in the first of them.

        Where a point is not finite nor are the rows: a policy gone wrong must not pass for one that stands still.
        """
        points = np.asarray(values, np.float64).reshape(len(values), len(FINGERS), 3)[:, self._fingers]
        if not len(joints):
            return
        if not np.isfinite(points).all():
            joints[:, self._index] = np.nan
            return
        start = self._configurations(joints[:1])[0]
        joints[:, self._index] = self._retargeting.solve(points, start, dt=self._dt).q[:, self._own_columns]

    def _configurations(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        q = np.repeat(self._hand.open_hand[None], len(joints), axis=0)
        q[:, self._columns] = joints
        model = self._hand.model
        inside: NDArray[np.float64] = np.clip(q, model.lowerPositionLimit, model.upperPositionLimit)
        return inside


def hand_groups(spec: EmbodimentSpec, side: Side) -> tuple[str, ...]:
    """The groups of a hand's joints."""
    return tuple(name for name, group in spec.groups.items() if group.kind == "hand" and group.side == side)


def _model(spec: EmbodimentSpec) -> pin.Model:
    """The robot's model with the spec's limits: makers' models have fingers that are slower than theirs are."""
    model = spec_model(spec)
    names = joint_names(model)
    columns = [names.index(name) for name in spec.joint_names]
    for limit, own in (
        ("velocityLimit", spec.limits.velocity),
        ("lowerPositionLimit", spec.limits.lower),
        ("upperPositionLimit", spec.limits.upper),
    ):
        values = np.array(getattr(model, limit))
        values[columns] = own
        setattr(model, limit, values)
    return model


def _joint_map(spec: EmbodimentSpec, side: Side) -> HandJointMap:
    """The map of the hand that the robot has: the one whose joints are those of its hand's groups."""
    own = {name for group in hand_groups(spec, side) for name in spec.groups[group].joint_names}
    model = _model(spec)
    for hand in sorted(mapped_hands(), key=lambda hand: not hand.startswith(spec.model)):
        if not hand.endswith(f"_{side}"):
            continue
        for prefix in ("", f"{side}_", f"{side[0].upper()}_"):
            try:
                found = hand_joint_map(hand, model, prefix)
            except KinematicsError:
                continue
            if set(found.joint_names) == own:
                return found
    raise BundleError(
        f"joints of a human hand are asked for, and no table says which of them {spec.name}'s {side} hand follows; "
        f"there are tables for {', '.join(mapped_hands())}"
    )
