"""Which parts of a robot a policy's keys are: the slots of the unified space decide, the names are the policy's own.

A key is one part of the robot, or several whose slots follow each other: the joints of a group, the position or the
rotation of an end effector, the two fingers of a gripper that has one joint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from unichunk.embodiments.adapter_hands import FingertipsPart, HumanJointsPart, hand_groups
from unichunk.embodiments.model import model_urdf
from unichunk.kinematics.urdf_document import joint_name, parse_urdf
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.manifest import BASE_FRAME
from unichunk.runtime.policy.rotation import AXIS_ANGLE_WIDTH, rotation_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec, Side
    from unichunk.runtime.policy.manifest import Key, RobotEntry, RotationInput

Quantity: TypeAlias = Literal["position", "rotation"]
Section: TypeAlias = Literal["state", "action"]

REMEDY: Final = "choose another bundle, or build this one again for this robot"

HAND_SLOTS: Final[dict[Side, tuple[int, int]]] = {"right": (110, 155), "left": (155, 200)}
"""Where values of a human hand are: its rotations, in the published layout, and its fingertips, which have no slots of
their own there."""

TWO_FINGERS: Final = (44, 46)
"""Slots of the positions of a gripper's two fingers, [m], as LIBERO and RoboCasa count them: opened by q, the first is
at q and the second at -q."""


@dataclass(frozen=True)
class JointPart:
    """Joints of a group as the unified space counts them: value = (joint - offset) / scale.

    Attributes:
        group: The group.
        index: Places of the joints in command order, one for each slot.
        offset, scale: For each slot, [rad] or [m].
    """

    group: str
    index: list[int]
    offset: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def width(self) -> int:
        """Number of slots."""
        return len(self.index)

    def values(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (m, width) of joint rows (m, n)."""
        values: NDArray[np.float64] = (joints[:, self.index] - self.offset) / self.scale
        return values

    def write(self, values: NDArray[np.float32], joints: NDArray[np.float64]) -> None:
        """Put what the values (m, width) say into joint rows (m, n)."""
        positions = values * self.scale + self.offset
        # Two fingers of one joint: between what is said of one and of the other.
        joints[:, self.index] = positions if len(set(self.index)) > 1 else positions.mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class FramePart:
    """Where an end effector is (state), or by how much it moves from the row before, or where it shall be (action).

    Attributes:
        side: Whose.
        quantity: Its position [m], or its rotation.
        width: Values of a row.
        absolute: Whether an action says where it shall be.
        frame: Along whose axes: the base, or a camera.
    """

    side: Side
    quantity: Quantity
    width: int = 3
    absolute: bool = False
    frame: str = BASE_FRAME


Part: TypeAlias = "JointPart | FramePart | HumanJointsPart | FingertipsPart"


@dataclass(frozen=True)
class BoundKey:
    """A key, and what it is of this robot.

    Attributes:
        name: With its section: `state.<key>` or `action.<key>`.
        slots: Its slots.
        rotation: The form in which rotations are given.
        parts: In the order of the slots.
    """

    name: str
    slots: tuple[int, int]
    rotation: RotationInput
    parts: tuple[Part, ...]

    def values(
        self, joints: NDArray[np.float64], frames: Mapping[tuple[Side, Quantity], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """The key's values, shape (m, width).

        Args:
            joints: Joint rows, shape (m, n).
            frames: Values of the end effectors, each of shape (m, its width).
        """
        pieces = [
            frames[part.side, part.quantity] if isinstance(part, FramePart) else part.values(joints)
            for part in self.parts
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def write(
        self,
        values: NDArray[np.float32],
        joints: NDArray[np.float64],
        frames: Mapping[tuple[Side, Quantity], NDArray[np.float64]],
    ) -> None:
        """Put the key's values (m, width) into joint rows (m, n) and values of end effectors, each (m, its width)."""
        start = 0
        for part in self.parts:
            piece = values[:, start : start + part.width]
            start += part.width
            if isinstance(part, FramePart):
                frames[part.side, part.quantity][:] = piece
            else:
                part.write(piece, joints)


def bound_keys(spec: EmbodimentSpec, robot: RobotEntry, section: Section, origin: str) -> tuple[BoundKey, ...]:
    """What the keys of a section are of this robot, in the policy's order.

    Args:
        spec: The robot.
        robot: The policy's keys for it.
        section: Which keys.
        origin: What to call the policy in messages.

    Raises:
        BundleError: Where the robot does not have the slots of a key.
    """
    keys: dict[str, Key] = getattr(robot, section)
    parts = _parts(spec)
    if any(key.slots[0] <= TWO_FINGERS[0] < key.slots[1] for key in keys.values()):
        parts |= _two_fingers(spec, parts)
    bound = []
    for name, key in keys.items():
        label = f"{section}.{name}"
        if key.form in {"human_joints", "fingertips"}:
            tiles: tuple[Part, ...] = (_hand(spec, label, key, origin),)
        else:
            tiles = _tiles(spec, parts if section == "state" else _acting(spec, parts, key), label, key, origin)
        bound.append(BoundKey(label, key.slots, key.rotation, tiles))
    return tuple(bound)


def _hand(spec: EmbodimentSpec, name: str, key: Key, origin: str) -> HumanJointsPart | FingertipsPart:
    """The hand that a human hand's values are for: which side it is, the slots say."""
    side = next((side for side, (start, stop) in HAND_SLOTS.items() if start <= key.slots[0] < stop), None)
    if side is None or not hand_groups(spec, side):
        regions = ", ".join(f"{start}-{stop} ({side})" for side, (start, stop) in HAND_SLOTS.items())
        raise BundleError(
            f"{origin}: {name} ({key.form}) in slots {key.slots[0]}-{key.slots[1]}; expected slots of a hand that "
            f"{spec.name} has, within {regions}; {REMEDY}"
        )
    try:
        return HumanJointsPart(spec, side) if key.form == "human_joints" else FingertipsPart(spec, side)
    except BundleError as error:
        raise BundleError(f"{origin}: {name}: {error}; {REMEDY}") from None


def _acting(spec: EmbodimentSpec, parts: Mapping[tuple[int, int], Part], key: Key) -> dict[tuple[int, int], Part]:
    """The same with end effectors as the actions of a key speak of them; a rotation may fill more slots than three."""
    absolute = key.form == "pose"
    width = rotation_width(key.rotation) if absolute else AXIS_ANGLE_WIDTH
    acting: dict[tuple[int, int], Part] = {
        slots: part for slots, part in parts.items() if not isinstance(part, FramePart)
    }
    for side, end in spec.end_effectors.items():
        acting[end.position] = FramePart(side, "position", absolute=absolute, frame=key.frame)
        turn = (end.rotation[0], end.rotation[0] + width)
        acting[turn] = FramePart(side, "rotation", width, absolute=absolute, frame=key.frame)
    return acting


def _tiles(
    spec: EmbodimentSpec, parts: Mapping[tuple[int, int], Part], name: str, key: Key, origin: str
) -> tuple[Part, ...]:
    found: list[Part] = []
    start, stop = key.slots
    while start < stop:
        end = next((b for a, b in parts if a == start and b <= stop), None)
        if end is None:
            has = ", ".join(f"{_called(part)} in {a}-{b}" for (a, b), part in parts.items())
            raise BundleError(
                f"{origin}: {name} in slots {key.slots[0]}-{key.slots[1]}, but {spec.name} does not have it: it has "
                f"{has}; {REMEDY}"
            )
        found.append(parts[start, end])
        start = end
    return tuple(found)


def _called(part: Part) -> str:
    if isinstance(part, FramePart):
        return f"{part.side} end effector's {part.quantity}"
    return part.group if isinstance(part, JointPart) else ", ".join(part.groups)


def _parts(spec: EmbodimentSpec) -> dict[tuple[int, int], Part]:
    """Everything of a robot that has slots, by its slots."""
    parts: dict[tuple[int, int], Part] = {}
    for name, group in spec.groups.items():
        parts[group.slots] = JointPart(name, spec.joint_index(name), *group.slot_units)
    for side, end in spec.end_effectors.items():
        parts[end.position] = FramePart(side, "position")
        parts[end.rotation] = FramePart(side, "rotation")
    return parts


def _two_fingers(spec: EmbodimentSpec, parts: Mapping[tuple[int, int], Part]) -> dict[tuple[int, int], Part]:
    """The fingers of a gripper whose only joint slides, where nothing else has their slots."""
    robot = parse_urdf(model_urdf(spec), spec.model)
    sliding = {joint_name(joint) for joint in robot.findall("joint") if joint.get("type") == "prismatic"}
    taken = any(start < TWO_FINGERS[1] and stop > TWO_FINGERS[0] for start, stop in parts)
    for name, group in spec.groups.items():
        only = group.kind == "gripper" and group.side == "right" and len(group.joints) == 1
        if only and not taken and group.joint_names[0] in sliding:
            index = spec.joint_index(name)
            return {TWO_FINGERS: JointPart(name, [*index, *index], np.zeros(2), np.array([1.0, -1.0]))}
    return {}
