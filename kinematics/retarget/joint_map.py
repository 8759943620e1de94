"""The closest-joint mapping: each joint of a robot's hand turns as the human joint next to it does.

As VITRA does it (`transfer_human_to_xhand` and `transfer_xhand_to_human` in vitra/datasets/robot_dataset.py of
github.com/microsoft/VITRA), for any hand that has a table (`joint_table`), and clamped to the robot's limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.retarget.joint_angles import joint_angles, joint_rotations, motions
from unichunk.kinematics.retarget.joint_table import JointTable, check_table, joint_table
from unichunk.kinematics.retarget.mano import MANO_JOINTS, parse_side
from unichunk.kinematics.robot_model import joint_names
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    import pinocchio as pin
    from numpy.typing import ArrayLike, NDArray

    from unichunk.kinematics.description import Side


@dataclass(frozen=True)
class HandJointMap:
    """Human hand to robot hand and back, joint by joint. Made by `hand_joint_map`.

    Attributes:
        side: Which hand.
        joint_names: The robot's joints that are driven, in the order of the model's q.
        q_index: Where they are in the model's q, shape (n,); a hand alone has them all, in this order.
        lower: Lower limits, shape (n,), [rad].
        upper: Upper limits, shape (n,), [rad].
    """

    side: Side
    joint_names: tuple[str, ...]
    q_index: NDArray[np.int64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    _held: NDArray[np.float64]
    _followers: NDArray[np.int64]
    _human: tuple[NDArray[np.int64], NDArray[np.int64]]
    _factors: NDArray[np.float64]

    def to_robot(self, rotations: ArrayLike) -> NDArray[np.float64]:
        """Positions of the robot's joints, within their limits.

        Data of a policy never raises: a human joint whose rotation is not finite, or so large (1e154 rad) that its
        angle is lost, leaves the joints that follow it NaN, and all others as they are. A row with NaN in it must not
        be followed.

        Args:
            rotations: Axis-angle vectors of the human joints, shape (..., 15, 3), [rad], of MANO's hand of this side.

        Returns:
            Shape (..., n), [rad], in the order of `joint_names`; NaN where there is nothing to follow.

        Raises:
            WrongShape: With both shapes.
        """
        angles = joint_angles(rotations, self.side)
        positions = np.broadcast_to(self._held, (*angles.shape[:-2], len(self.joint_names))).copy()
        positions[..., self._followers] = self._factors * angles[..., self._human[0], self._human[1]]
        return np.clip(positions, self.lower, self.upper)

    @np.errstate(invalid="ignore", over="ignore")
    def to_human(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Rotations of the human joints, for policies whose state is a human hand.

        The exact inverse of `to_robot` for positions within the limits, but for held joints. Human joints that no
        robot joint follows do not turn. Positions are taken as they are measured, beyond the limits too. One that is
        not finite leaves the human joint NaN that its joint follows, and all others as they are; that of a held joint
        says nothing about the human hand.

        Args:
            positions: Shape (..., n), [rad], in the order of `joint_names`.

        Returns:
            Axis-angle vectors, shape (..., 15, 3), [rad], of MANO's hand of this side; NaN where there is nothing to
            tell. A row with NaN in it must not be given to a policy.

        Raises:
            WrongShape: With both shapes.
        """
        positions = float_array(positions, "joint positions of the hand", len(self.joint_names))
        angles = np.zeros((*positions.shape[:-1], len(MANO_JOINTS), 3))
        angles[..., self._human[0], self._human[1]] = positions[..., self._followers] / self._factors
        return joint_rotations(angles, self.side)


def hand_joint_map(hand: str, model: pin.Model, prefix: str = "", table: JointTable | None = None) -> HandJointMap:
    """The map between a human hand and a robot's.

    Args:
        hand: The hand's name, with its side at the end (`o6_right`).
        model: The hand's model, or that of a robot which has the hand; limits are its.
        prefix: What the robot's model puts before the hand's joint names.
        table: A table of your own instead of the shipped one.

    Raises:
        UnknownModel: Where there is no such table, or the model has not got a joint of it.
        RetargetError: Where a table contradicts itself.
    """
    table = joint_table(hand) if table is None else table
    side = parse_side(hand.rpartition("_")[2])
    rules = {_named(rule.joint, side, prefix): rule for rule in table.rules}
    held = {_named(joint, side, prefix): position for joint, position in table.held.items()}
    check_table(table)
    q_index = {name: _q_index(model, name) for name in (*rules, *held)}
    names = sorted(q_index, key=lambda name: q_index[name])
    indices = np.array([q_index[name] for name in names])
    followers = [index for index, name in enumerate(names) if name in rules]
    ordered = [rules[names[index]] for index in followers]
    parts = [motions(rule.human)[rule.motion] for rule in ordered]
    return HandJointMap(
        side=side,
        joint_names=tuple(names),
        q_index=indices,
        lower=model.lowerPositionLimit[indices],
        upper=model.upperPositionLimit[indices],
        _held=np.array([held.get(name, 0.0) for name in names]),
        _followers=np.array(followers),
        _human=(
            np.array([MANO_JOINTS.index(rule.human) for rule in ordered]),
            np.array([component for component, _ in parts]),
        ),
        _factors=np.array([rule.scale * sign for rule, (_, sign) in zip(ordered, parts, strict=True)]),
    )


def _named(joint: str, side: Side, prefix: str) -> str:
    return prefix + joint.replace("{side}", side).replace("{S}", side[0].upper())


def _q_index(model: pin.Model, name: str) -> int:
    names = joint_names(model)
    if name not in names:
        raise UnknownModel(f"{model.name} has no driven joint {name!r}: {instead_of(name, names)}")
    return names.index(name)
