"""What inverse kinematics is measured on: which frames of which robots, moved by which joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.kinematics.description import robot_description
from unichunk.kinematics.inverse.goals import FrameGoal

if TYPE_CHECKING:
    from collections.abc import Sequence

G1_WAIST: Final = ("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint")
ADAM_U_WAIST: Final = ("waistRoll", "waistPitch", "waistYaw")


@dataclass(frozen=True)
class Case:
    """Frames of a robot that get targets.

    Attributes:
        name: Of the case.
        robot: One of `robot_names()`.
        goals: The frames.
        locked: Joints that would move the frames and may not.
    """

    name: str
    robot: str
    goals: tuple[FrameGoal, ...]
    locked: tuple[str, ...] = ()


def _case(name: str, robot: str, frames: Sequence[str], locked: tuple[str, ...] = ()) -> Case:
    return Case(name, robot, tuple(map(FrameGoal, frames)), locked)


ARMS: Final = (
    _case("fr3", "fr3", ["fr3_hand_tcp"]),
    _case("g1 left arm", "g1", ["L_ee"], G1_WAIST),
    _case("adam_u left arm", "adam_u", ["wristRollLeft"], ADAM_U_WAIST),
    _case("rm75", "rm75", ["Link7"]),
    _case("so101", "so101", ["gripper_frame_link"]),
    _case("d1", "d1", ["ee"]),
)
"""One arm each, the rest of the robot locked."""

PAIRS: Final = (
    _case("g1 both arms", "g1", ["L_ee", "R_ee"], G1_WAIST),
    _case("adam_u both arms", "adam_u", ["wristRollLeft", "wristRollRight"], ADAM_U_WAIST),
    _case("g1 both arms, waist", "g1", ["L_ee", "R_ee"]),
)
"""Two arms at once."""

HAND_NAMES: Final = ("o6_right", "inspire_right", "sharpa_wave_right", "xhand_right")


def hand_case(name: str) -> Case:
    """The fingertips of a hand, which get positions."""
    hand = robot_description(name).hands["right"]
    return Case(name, name, tuple(FrameGoal(tip, "position") for tip in hand.fingertips.values()))
