"""Tables of the closest-joint mapping: which human joint each joint of a robot's hand follows.

`joint_maps/xhand.json` is VITRA's table in names: `XHAND_HUMAN_MAPPING` in vitra/datasets/robot_dataset.py of
github.com/microsoft/VITRA (MIT), one angle of one human joint for each of the XHand's joints, with its sign, and
nothing else. The tables of the other hands follow the same rule: the human joint at the same place in the finger, the
motion that moves the fingertip in the same direction, one radian for one radian. Joints that mimic another one are not
in the tables: they follow by themselves. Joints without a human counterpart are held.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources

import msgspec

from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.retarget.joint_angles import Motion, motions
from unichunk.kinematics.retarget.mano import MANO_JOINTS


class JointRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which human angle a joint of a robot's hand takes.

    Attributes:
        joint: Name of the robot's joint; {side} stands for right or left, {S} for R or L.
        human: The human joint, one of `MANO_JOINTS`.
        motion: Its motion (see `joint_angles.motions`).
        scale: Robot's angle per human angle; negative where the robot's joint turns the other way.
    """

    joint: str
    human: str
    motion: Motion
    scale: float = 1.0


class JointTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of hand, as in the JSON files of `joint_maps`.

    Attributes:
        hands: Names of the hands that the table is for, each with its side at the end.
        source: Where the table comes from.
        rules: One per joint that follows a human joint.
        held: Positions of the joints that follow none, [rad].
    """

    hands: tuple[str, ...]
    source: str
    rules: tuple[JointRule, ...]
    held: dict[str, float] = {}


def mapped_hands() -> tuple[str, ...]:
    """Names of the hands that have a table, sorted."""
    return tuple(sorted(hand for table in _shipped_tables() for hand in table.hands))


def joint_table(hand: str) -> JointTable:
    """The shipped table of a hand.

    Raises:
        UnknownModel: Where there is none.
    """
    for table in _shipped_tables():
        if hand in table.hands:
            return table
    raise UnknownModel(f"no joint map for hand {hand!r}: expected one of {', '.join(mapped_hands())}")


def check_table(table: JointTable) -> None:
    """Refuse a table that contradicts itself.

    Raises:
        RetargetError: With the joint, and what was expected.
    """
    name = f"joint table of {', '.join(table.hands)}"
    joints = [*(rule.joint for rule in table.rules), *table.held]
    for joint in joints:
        if joints.count(joint) > 1:
            raise RetargetError(f"{name}: {joint} is in it {joints.count(joint)} times, expected once")
    for joint, position in table.held.items():
        if not math.isfinite(position):
            raise RetargetError(f"{name}: {joint} is held at {position}, expected a finite number")
    taken: dict[tuple[str, str], str] = {}
    for rule in table.rules:
        if rule.human not in MANO_JOINTS:
            known = ", ".join(MANO_JOINTS)
            raise RetargetError(f"{name}: {rule.joint}: unknown human joint {rule.human!r}, expected one of {known}")
        if rule.motion not in motions(rule.human):
            known = ", ".join(motions(rule.human))
            raise RetargetError(f"{name}: {rule.joint}: {rule.human} has no {rule.motion}, expected one of {known}")
        if not (math.isfinite(rule.scale) and rule.scale):
            raise RetargetError(f"{name}: {rule.joint}: scale {rule.scale}, expected a number other than 0")
        other = taken.setdefault((rule.human, rule.motion), rule.joint)
        if other != rule.joint:
            raise RetargetError(
                f"{name}: {other} and {rule.joint} both follow the {rule.motion} of {rule.human}: expected one of them"
            )


@cache
def _shipped_tables() -> tuple[JointTable, ...]:
    folder = resources.files("unichunk.kinematics.retarget") / "joint_maps"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda entry: entry.name)
    return tuple(msgspec.json.decode(file.read_bytes(), type=JointTable) for file in files)
