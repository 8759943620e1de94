"""Which slots of the unified vector are whose: the regions published with Being-H0.5."""

from __future__ import annotations

from typing import Final

Slots = tuple[int, int]

REGIONS: Final[dict[str, Slots]] = {
    "right or only end effector": (0, 9),
    "left end effector": (9, 18),
    "right or only gripper": (18, 19),
    "left gripper": (19, 20),
    "right hand joints": (20, 32),
    "left hand joints": (32, 44),
    "gripper joints": (44, 50),
    "right or only arm joints": (50, 57),
    "left arm joints": (57, 64),
    "head": (64, 66),
    "waist": (66, 70),
    "base": (70, 76),
    "new embodiments": (76, 90),
    "right hand shape": (90, 100),
    "left hand shape": (100, 110),
    "right hand rotations": (110, 155),
    "left hand rotations": (155, 200),
}
"""Half-open slices, reserved extensions included; a key lies within one of them."""

STATE_ONLY: Final = ("right hand shape", "left hand shape")
"""Regions that no action may fill."""

KEY_SLOTS: Final[dict[str, Slots]] = {
    "eef_position": (0, 3),
    "eef_rotation": (3, 9),
    "gripper_position": (18, 19),
    "gripper": (18, 19),
    "libero_gripper_position": (44, 50),
    "gripper_qpos": (44, 50),
    "arm_joints": (50, 57),
    "base_position": (70, 73),
    "base_rotation": (73, 76),
    "base_motion": (70, 74),
    "control_mode": (74, 75),
}
"""Where the keys of the published configurations, and of this project's robots, must lie."""


def misplaced(section: str, key: str, slots: Slots) -> str:
    """What is wrong with the slots of a key.

    Args:
        section: `state` or `action`.
        key: Name of the key.
        slots: Its half-open slice.

    Returns:
        What is expected; empty where the slots are right.
    """
    start, stop = slots
    if key in KEY_SLOTS:
        low, high = KEY_SLOTS[key]
        return "" if low <= start and stop <= high else f"slots within {low}-{high}, where {key} is in the layout"
    name = next(name for name, (low, high) in REGIONS.items() if low <= start < high)
    low, high = REGIONS[name]
    if stop > high:
        return f"slots of one region; those from {start} on belong to {name} ({low}-{high})"
    if section == "action" and name in STATE_ONLY:
        return f"other slots: {name} ({low}-{high}) is for states only"
    return ""
