"""What the types of a spec cannot say: complaints about one that contradicts itself."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.twin_checks import twin_complaints
from unichunk.runtime.compile.layout import REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.spec import Camera, EmbodimentSpec, EndEffector, Joint, JointGroup

_ROBOT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_KEY_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SMALL: Final = 1e-6

TINY_RANGE: Final = 0.3
"""A joint of less range than this, [rad] or [m], need not be able to brake from its velocity limit within it."""

LONGEST_WINDOW_S: Final = 0.1
"""Longest smoothing of commands that is no typing mistake, [s], or an action tick where that is longer."""

_HAND_COMMANDS: Final = 2
"""Hands and grippers take at least so many commands within the watchdog's time."""

_JOINT_REGIONS: Final[dict[tuple[str, str | None], tuple[str, ...]]] = {
    ("arm", "right"): ("right or only arm joints",),
    ("arm", "left"): ("left arm joints",),
    ("gripper", "right"): ("right or only gripper", "gripper joints"),
    ("gripper", "left"): ("left gripper", "gripper joints"),
    ("hand", "right"): ("right hand joints", "new embodiments"),
    ("hand", "left"): ("left hand joints", "new embodiments"),
    ("head", None): ("head",),
    ("waist", None): ("waist",),
}
"""Where the unified space has the joints of each kind of group; reserved slots take what a hand has beyond its own."""

_POSE_REGIONS: Final = {"right": ("right or only end effector",), "left": ("left end effector",)}

_DRIVER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")


def complaints(spec: EmbodimentSpec) -> Iterator[str]:
    """Everything that is wrong with a spec, each with the path of the key."""
    yield from _name_complaints(spec)
    yield from _time_complaints(spec)
    if len(set(spec.joint_names)) != len(spec.joint_names):
        twice = next(name for name in spec.joint_names if spec.joint_names.count(name) > 1)
        yield f"groups: expected every joint in exactly one group, got {twice!r} twice"
    taken: dict[int, str] = {}
    for name, group in spec.groups.items():
        yield from _group_complaints(f"groups.{name}", group)
        yield from _rate_complaints(f"groups.{name}", group, spec)
        for i, joint in enumerate(group.joints):
            yield from _joint_complaints(f"groups.{name}.joints[{i}]", joint, 1 / spec.action_hz)
        yield from _overlap(f"groups.{name}.slots", group.slots, taken)
        # A side that is wrong has a complaint of its own.
        regions = _JOINT_REGIONS.get((group.kind, group.side), tuple(REGIONS))
        yield from _outside(f"groups.{name}.slots", group.slots, regions)
    for side, end in spec.end_effectors.items():
        yield from _end_effector_complaints(spec, side, end, taken)
    if not spec.cameras:
        yield "cameras: expected at least one: observations come with its pictures"
    for name, camera in spec.cameras.items():
        yield from _camera_complaints(spec, f"cameras.{name}", camera)
    if spec.twin is not None:
        yield from twin_complaints(spec.twin, spec.groups.values())


def _name_complaints(spec: EmbodimentSpec) -> Iterator[str]:
    if not _ROBOT_NAME.fullmatch(spec.name):
        yield f"name: expected letters, digits, '_', '.' and '-', it is part of file names, got {spec.name!r}"
    for section, names in (("groups", spec.groups), ("cameras", spec.cameras)):
        for name in names:
            if not _KEY_NAME.fullmatch(name):
                yield f"{section}: expected names of letters, digits and '_', they become keys, got {name!r}"
    if spec.driver is not None and not _DRIVER.fullmatch(spec.driver):
        yield f"driver: expected 'module:Class', got {spec.driver!r}"


def _time_complaints(spec: EmbodimentSpec) -> Iterator[str]:
    if spec.command_hz < spec.action_hz:
        yield f"groups: expected a command_hz of at least action_hz ({spec.action_hz}), got {spec.command_hz}"
    if spec.watchdog_s <= 2 / spec.command_hz:
        yield f"watchdog_s: expected more than two command periods ({2 / spec.command_hz:g} s), got {spec.watchdog_s:g}"
    oldest = spec.observation_max_age_s
    if oldest <= 1 / spec.action_hz:
        yield f"observation_max_age_s: expected more than a tick ({1 / spec.action_hz:g} s), got {oldest:g}"


def _rate_complaints(where: str, group: JointGroup, spec: EmbodimentSpec) -> Iterator[str]:
    """Arms follow every action; a hand may be slower, but not so slow that its commands pass for none."""
    if group.kind in ("hand", "gripper"):
        slowest, why = _HAND_COMMANDS / spec.watchdog_s, f"{_HAND_COMMANDS} commands within watchdog_s"
    else:
        slowest, why = float(spec.action_hz), "action_hz"
    if group.command_hz < slowest:
        yield f"{where}.command_hz: expected at least {slowest:g} ({why}), got {group.command_hz}"


def _group_complaints(where: str, group: JointGroup) -> Iterator[str]:
    start, stop = group.slots
    if stop - start != len(group.joints):
        yield f"{where}.slots: expected {len(group.joints)} slots for its joints, got {start}-{stop}"
    if group.unit == "open_fraction" and group.kind != "gripper":
        yield f"{where}.unit: expected rad for a group of kind {group.kind}: open_fraction is for grippers"
    yield from _posture_complaints(where, group)
    yield from _fraction_complaints(where, group)
    yield from _raw_complaints(where, group)
    if (group.side is None) != (group.kind in ("head", "waist")):
        yield f"{where}.side: expected right or left for arms, hands and grippers, none for the others"
    for label, gain in (("stiffness", group.servo.stiffness), ("damping", group.servo.damping)):
        if isinstance(gain, tuple) and len(gain) != len(group.joints):
            yield f"{where}.servo.{label}: expected one number or one for each joint, got {list(gain)}"


def _posture_complaints(where: str, group: JointGroup) -> Iterator[str]:
    holds = group.kind in ("hand", "gripper")
    for label, posture in (("open", group.open), ("closed", group.closed)):
        if posture is None:
            if holds:
                yield f"{where}.{label}: expected a position for each joint of a {group.kind}, got none"
        elif not holds:
            yield f"{where}.{label}: expected hands and grippers to have it, not a group of kind {group.kind}"
        elif len(posture) != len(group.joints) or any(
            not joint.lower <= q <= joint.upper for joint, q in zip(group.joints, posture, strict=False)
        ):
            yield f"{where}.{label}: expected a position within the limits for each joint, got {list(posture)}"
    if holds and group.open is not None and group.open == group.closed:
        yield f"{where}.closed: expected another posture than the open one, got {list(group.open)} twice"


def _fraction_complaints(where: str, group: JointGroup) -> Iterator[str]:
    """A fraction is counted along each joint's way from closed to open: none may stay where it is."""
    if group.unit == "open_fraction" and group.open is not None and group.closed is not None:
        for joint, opened, closed in zip(group.joints, group.open, group.closed, strict=False):
            if opened == closed:
                yield f"{where}.closed: expected another position of {joint.name} than the open one, got {closed} twice"


def _raw_complaints(where: str, group: JointGroup) -> Iterator[str]:
    raw = group.raw
    if raw is None:
        return
    if raw.at_lower == raw.at_upper:
        yield f"{where}.raw.at_upper: expected another number than at_lower ({raw.at_lower:g})"
    if raw.order is not None and sorted(raw.order) != sorted(group.joint_names):
        yield f"{where}.raw.order: expected the group's joints, got {list(raw.order)}"


def _joint_complaints(where: str, joint: Joint, tick_s: float) -> Iterator[str]:
    if not joint.lower < joint.upper:
        yield f"{where}.upper: expected more than lower ({joint.lower}), got {joint.upper}"
    if not joint.lower <= joint.rest <= joint.upper:
        yield f"{where}.rest: expected within the limits, got {joint.rest}"
    if joint.braking is not None and not joint.braking < joint.acceleration:
        yield f"{where}.braking: expected less than the acceleration ({joint.acceleration}), got {joint.braking}"
    span, braking = joint.upper - joint.lower, joint.acceleration / 2 if joint.braking is None else joint.braking
    way = joint.velocity**2 / (2 * braking)
    if way > span >= TINY_RANGE:
        yield (
            f"{where}.velocity: expected at most {math.sqrt(2 * braking * span):.3g}, from which the joint can brake "
            f"at {braking:g} (braking, or half the acceleration) within its range of {span:.3g}, got {joint.velocity:g}"
        )
    window, longest = 2 * joint.acceleration / joint.jerk, max(LONGEST_WINDOW_S, tick_s)
    if window > longest:
        yield (
            f"{where}.jerk: expected at least {2 * joint.acceleration / longest:g}, got {joint.jerk:g}: commands are "
            f"smoothed over 2 * acceleration / jerk ({window:.3g} s, at most {longest:g} s) and lag by half of that"
        )


def _end_effector_complaints(spec: EmbodimentSpec, side: str, end: EndEffector, taken: dict[int, str]) -> Iterator[str]:
    where = f"end_effectors.{side}"
    for slots, label in ((end.position, "position"), (end.rotation, "rotation")):
        if slots[1] - slots[0] != 3:
            yield f"{where}.{label}: expected three slots, got {slots[0]}-{slots[1]}"
        yield from _overlap(f"{where}.{label}", slots, taken)
        yield from _outside(f"{where}.{label}", slots, _POSE_REGIONS[side])
    for name in end.groups:
        group = spec.groups.get(name)
        if group is None:
            yield f"{where}.groups: expected groups of this robot ({', '.join(spec.groups)}), got {name!r}"
        elif group.kind not in ("arm", "waist") or group.side not in (None, side):
            kind = group.kind if group.side is None else f"{group.side} {group.kind}"
            yield f"{where}.groups: expected the {side} arm, and perhaps a waist, got {name!r}, a {kind}"


def _camera_complaints(spec: EmbodimentSpec, where: str, camera: Camera) -> Iterator[str]:
    axis = [b - a for a, b in zip(camera.position, camera.look_at, strict=True)]
    length, up = math.hypot(*axis), math.hypot(*camera.up)
    if length < _SMALL:
        yield f"{where}.look_at: expected another point than position, got {list(camera.look_at)} twice"
    elif up < _SMALL or _sine(axis, camera.up) < 1e-3:
        yield f"{where}.up: expected a direction across the optical axis, got {list(camera.up)}"
    for pictures, label in ((1, "observation_max_age_s"), (2, "frozen_camera_s")):
        time_s = getattr(spec, label)
        if time_s <= pictures / camera.fps:
            yield f"{where}.fps: expected more than {pictures / time_s:g}, see {label} ({time_s:g}), got {camera.fps}"


def _sine(a: list[float], b: tuple[float, float, float]) -> float:
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return math.hypot(*cross) / (math.hypot(*a) * math.hypot(*b))


def _outside(where: str, slots: tuple[int, int], regions: tuple[str, ...]) -> Iterator[str]:
    start, stop = slots
    if not any(REGIONS[name][0] <= start and stop <= REGIONS[name][1] for name in regions):
        expected = " or ".join(f"{low}-{high} ({name})" for name in regions for low, high in [REGIONS[name]])
        yield f"{where}: expected within {expected}, see the layout of the unified space, got {start}-{stop}"


def _overlap(where: str, slots: tuple[int, int], taken: dict[int, str]) -> Iterator[str]:
    for slot in range(*slots):
        if slot in taken:
            yield f"{where}: {slots[0]}-{slots[1]} overlaps {taken[slot]}"
            return
        taken[slot] = where
