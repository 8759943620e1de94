"""Descriptions of bundles for tests: the shipped one, and robots as published checkpoints have them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import unichunk.embodiments
from unichunk.runtime.policy.manifest import Binary, Key, Manifest, NoNormalization, RobotEntry

if TYPE_CHECKING:
    from unichunk.runtime.policy.manifest import RotationInput


@cache
def generalist() -> Manifest:
    """The shipped bundle of five robots."""
    folder = Path(next(iter(unichunk.embodiments.__path__))) / "bundles" / "generalist"
    return msgspec.json.decode((folder / "bundle.json").read_bytes(), type=Manifest)


def key(first: int, end: int, rotation: RotationInput = "axis_angle", *, binary: bool = False) -> Key:
    return Key(slots=(first, end), normalization=Binary() if binary else NoNormalization(), rotation=rotation)


def with_robot(cameras: tuple[str, ...], state: dict[str, Key], action: dict[str, Key]) -> Manifest:
    """The shipped bundle's description with one robot, `robot`."""
    entry = RobotEntry(cameras=cameras, state=state, action=action, action_hz=10, max_delay=4)
    return msgspec.structs.replace(generalist(), robots={"robot": entry})


def libero() -> Manifest:
    """As the published configuration `libero_nonorm`."""
    hand = {"eef_position": key(0, 3), "eef_rotation": key(3, 6)}
    return with_robot(
        ("top_view", "wrist_view"),
        hand | {"libero_gripper_position": key(44, 46)},
        hand | {"gripper_position": key(18, 19)},
    )


def robocasa() -> Manifest:
    """As the published configuration `robocasa_human`."""
    hand = {"eef_position": key(0, 3), "eef_rotation": key(3, 6)}
    return with_robot(
        ("left_view", "right_view", "wrist_view"),
        hand
        | {
            "gripper_qpos": key(44, 46),
            "base_position": key(70, 73),
            "base_rotation": key(73, 76, "quaternion_wxyz"),
        },
        hand
        | {
            "gripper_position": key(18, 19, binary=True),
            "base_motion": key(70, 74),
            "control_mode": key(74, 75, binary=True),
        },
    )


def droid() -> Manifest:
    """A Franka arm with a gripper, in keys of nobody's."""
    keys = {"gripper": key(18, 19), "arm": key(50, 57)}
    return with_robot(("hand_cam", "side"), keys, keys)


def aloha() -> Manifest:
    """Two arms of six joints, right before left."""
    keys = {
        "right_arm": key(50, 56),
        "right_gripper": key(18, 19),
        "left_arm": key(57, 63),
        "left_gripper": key(19, 20),
    }
    return with_robot(("head", "left_wrist", "right_wrist"), keys, keys)


MANIFESTS = {"generalist": generalist, "libero": libero, "robocasa": robocasa, "droid": droid, "aloha": aloha}
