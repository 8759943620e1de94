"""Embodiment specs: one readable JSON file per robot, parsed and checked once, trusted inside."""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from unichunk.embodiments.errors import SpecError, UnknownEmbodiment
from unichunk.runtime.key_path import with_key_path
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.unified import UNIFIED_WIDTH

SPEC_FORMAT: Final = 1

Positive = Annotated[float, Meta(gt=0)]
Rate = Annotated[int, Meta(gt=0, le=10_000)]
Slot = Annotated[int, Meta(ge=0, le=UNIFIED_WIDTH)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    pass


class Joint(_Struct, frozen=True, kw_only=True):
    """One joint: limits in [rad] (or [m]), [rad/s], [rad/s^2], [Nm]; `rest` is the pose of the ramp fallback."""

    name: str
    lower: float
    upper: float
    velocity: Positive
    acceleration: Positive
    effort: Positive
    rest: float


class JointGroup(_Struct, frozen=True, kw_only=True):
    """Joints that share one policy key (`state.<group>`, `action.<group>`) and one slice of the unified space.

    `unit` is how the unified space counts them: `rad` as they are; `open_fraction` maps the joint's lower limit to 0
    (closed) and its upper limit to 1 (open).
    """

    joints: Annotated[tuple[str, ...], Meta(min_length=1)]
    slots: tuple[Slot, Slot]
    unit: Literal["rad", "open_fraction"]


class Camera(_Struct, frozen=True, kw_only=True):
    """A camera's stream: pixels and frames per second."""

    width: Annotated[int, Meta(gt=0)]
    height: Annotated[int, Meta(gt=0)]
    fps: Rate


class HoldFallback(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="hold"):
    """Without an action, stay where the last command was."""


class RampFallback(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="ramp"):
    """Without an action, move to the rest pose at a fraction of each joint's velocity limit."""

    velocity_fraction: Annotated[float, Meta(gt=0, le=1)]


class EmbodimentSpec(_Struct, frozen=True, kw_only=True):
    """Everything the runtime must know about a robot.

    Attributes:
        action_hz: Action steps (ticks) a second.
        command_hz: Joint commands a second, the robot's native rate.
        tool_frame: The model's frame that does the work.
        watchdog_s: After this long without a command the driver brings the robot to rest, [s].
        observation_max_age_s: Older observations are not acted on, [s].
        frozen_camera_s: A camera that repeats the same picture for this long is taken for frozen, [s].
        following_error: A joint further from its command than this, [rad], for longer than ...
        following_error_s: ... this, [s], is taken for blocked, overloaded or without torque.
        delay_margin_ticks: Ticks added to the measured latency when a delay is committed.
        minimum_postfix_ticks: Fewest rows of its own that a chunk must keep after the locked prefix.
    """

    format: int
    name: str
    title: str
    model: str
    tool_frame: str
    action_hz: Rate
    command_hz: Rate
    joints: Annotated[tuple[Joint, ...], Meta(min_length=1)]
    groups: dict[str, JointGroup]
    cameras: dict[str, Camera]
    fallback: HoldFallback | RampFallback
    watchdog_s: Positive
    observation_max_age_s: Positive
    frozen_camera_s: Positive
    following_error: Positive
    following_error_s: Positive
    delay_margin_ticks: Annotated[int, Meta(ge=1)]
    minimum_postfix_ticks: Annotated[int, Meta(ge=1)]
    notes: dict[str, str] = {}

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Joint names in command order."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def limits(self) -> JointLimits:
        """The joints' limits in command order."""
        return JointLimits.of(
            self.joint_names,
            [joint.lower for joint in self.joints],
            [joint.upper for joint in self.joints],
            [joint.velocity for joint in self.joints],
            [joint.acceleration for joint in self.joints],
        )

    @cached_property
    def rest(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Rest pose, shape (n,), [rad]."""
        return np.array([joint.rest for joint in self.joints])

    def joint_index(self, group: str) -> list[int]:
        """Positions of a group's joints in command order."""
        return [self.joint_names.index(name) for name in self.groups[group].joints]


def parse_spec(text: bytes, origin: str) -> EmbodimentSpec:
    """Parse and check one spec.

    Args:
        text: The JSON file's content.
        origin: What to call it in error messages.

    Raises:
        SpecError: With the path of the key, the value and what was expected.
    """
    try:
        document = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{origin}: not JSON ({error})") from None
    try:
        spec = msgspec.json.decode(text, type=EmbodimentSpec)
    except msgspec.ValidationError as error:
        raise SpecError(f"{origin}: {with_key_path(error, document, EmbodimentSpec, 'embodiment')}") from None
    for complaint in _complaints(spec):
        raise SpecError(f"{origin}: {complaint}")
    return spec


def _complaints(spec: EmbodimentSpec) -> list[str]:
    found = []
    if spec.format != SPEC_FORMAT:
        found.append(f"embodiment.format: expected {SPEC_FORMAT}, got {spec.format}")
    if spec.command_hz < spec.action_hz:
        found.append(f"embodiment.command_hz: expected at least action_hz ({spec.action_hz}), got {spec.command_hz}")
    for i, joint in enumerate(spec.joints):
        if not joint.lower < joint.upper:
            found.append(f"embodiment.joints[{i}].upper: expected more than lower ({joint.lower}), got {joint.upper}")
        if not joint.lower <= joint.rest <= joint.upper:
            found.append(f"embodiment.joints[{i}].rest: expected within the limits, got {joint.rest}")
    found += _group_complaints(spec)
    return found


def _group_complaints(spec: EmbodimentSpec) -> list[str]:
    found = []
    if len(set(spec.joint_names)) != len(spec.joint_names):
        found.append(f"embodiment.joints: expected different names, got {list(spec.joint_names)}")
    grouped = [name for group in spec.groups.values() for name in group.joints]
    if sorted(grouped) != sorted(spec.joint_names):
        found.append(
            f"embodiment.groups: expected every joint in exactly one group, got {grouped} for {list(spec.joint_names)}"
        )
    taken: set[int] = set()
    for name, group in spec.groups.items():
        start, stop = group.slots
        if stop - start != len(group.joints):
            found.append(
                f"embodiment.groups.{name}.slots: expected {len(group.joints)} slots for its joints, got {start}-{stop}"
            )
        if taken & set(range(start, stop)):
            found.append(f"embodiment.groups.{name}.slots: {start}-{stop} overlaps another group")
        taken |= set(range(start, stop))
    return found


def embodiment_names() -> tuple[str, ...]:
    """Names of all embodiments that ship with the project, sorted."""
    folder = resources.files("unichunk.embodiments") / "specs"
    return tuple(sorted(entry.name[: -len(".json")] for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_spec(name: str) -> EmbodimentSpec:
    """The spec of a shipped embodiment.

    Raises:
        UnknownEmbodiment: Where no embodiment goes by that name; the message lists those that exist.
        SpecError: Where its file does not parse.
    """
    if name not in embodiment_names():
        known = ", ".join(embodiment_names())
        raise UnknownEmbodiment(f"unknown embodiment {name!r}: expected one of {known} (see `unichunk embodiments`)")
    path = resources.files("unichunk.embodiments") / "specs" / f"{name}.json"
    return parse_spec(path.read_bytes(), f"specs/{name}.json")
