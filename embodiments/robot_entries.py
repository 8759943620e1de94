"""Entries of a bundle as a robot itself would write them: everything it has, in joint or in end-effector form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.policy.manifest import Key, NoNormalization, RobotEntry

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


def joint_entry(spec: EmbodimentSpec, max_delay: int = 0) -> RobotEntry:
    """All groups in joint form, as state and as action, each under its own name; physical values.

    Args:
        spec: The robot.
        max_delay: Longest locked prefix, in rows.
    """
    keys = {name: _key(group.slots) for name, group in spec.groups.items()}
    return _entry(spec, keys, keys, max_delay)


def end_effector_entry(spec: EmbodimentSpec, max_delay: int = 0) -> RobotEntry:
    """What end effectors carry in end-effector form, everything else in joint form; physical values.

    Args:
        spec: The robot; it has end effectors.
        max_delay: Longest locked prefix, in rows.
    """
    ends = {
        f"{side}_end_effector_{name}": _key(slots)
        for side, end in spec.end_effectors.items()
        for name, slots in (("position", end.position), ("rotation", end.rotation))
    }
    carried = {name for end in spec.end_effectors.values() for name in end.groups}
    joints = {name: _key(group.slots) for name, group in spec.groups.items()}
    action = ends | {name: key for name, key in joints.items() if name not in carried}
    return _entry(spec, ends | joints, action, max_delay)


def _entry(spec: EmbodimentSpec, state: dict[str, Key], action: dict[str, Key], max_delay: int) -> RobotEntry:
    return RobotEntry(
        cameras=tuple(spec.cameras), state=state, action=action, action_hz=spec.action_hz, max_delay=max_delay
    )


def _key(slots: tuple[int, int]) -> Key:
    return Key(slots=slots, normalization=NoNormalization())
