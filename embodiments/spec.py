"""Embodiment specs: one readable JSON file per robot, parsed once and trusted inside."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from unichunk.embodiments.quantities import (  # noqa: TC001  (msgspec reads them at run time)
    Acceleration,
    Effort,
    Jerk,
    Pixels,
    Point,
    Position,
    RawNumber,
    Seconds,
    Ticks,
    Velocity,
)
from unichunk.embodiments.twin_spec import Servo, Twin  # noqa: TC001  (msgspec reads them at run time)
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.unified import UNIFIED_WIDTH

SPEC_FORMAT: Final = 2

Rate = Annotated[int, Meta(gt=0, le=10_000)]
Slot = Annotated[int, Meta(ge=0, le=UNIFIED_WIDTH)]
Side = Literal["right", "left"]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    pass


class Joint(_Struct, frozen=True, kw_only=True):
    """One joint. Units are [rad], or [m] for a prismatic one, per [s], [s^2], [s^3]; effort in [Nm] or [N].

    Attributes:
        name: As in the model.
        lower, upper: Position limits.
        velocity, acceleration, jerk: Largest magnitudes of the command stream's derivatives.
        effort: Largest torque or force.
        rest: Position in the rest pose: where the twin starts and where the ramp fallback goes.
        braking: Deceleration at which the joint is stopped before its ends; half the acceleration if left out.
    """

    name: Annotated[str, Meta(min_length=1)]
    lower: Position
    upper: Position
    velocity: Velocity
    acceleration: Acceleration
    jerk: Jerk
    effort: Effort
    rest: Position
    braking: Acceleration | None = None


class RawUnits(_Struct, frozen=True, kw_only=True):
    """The device's own units: linear in the joint position between the joint's limits.

    Attributes:
        at_lower, at_upper: The device's number at the joint's lower and upper limit.
        order: Joints in the device's order, where that is not the group's.
        unit: What the numbers are, for people.
    """

    at_lower: RawNumber
    at_upper: RawNumber
    unit: str
    order: tuple[str, ...] | None = None


class JointGroup(_Struct, frozen=True, kw_only=True):
    """Joints that are commanded together: one policy key (`state.<group>`, `action.<group>`), one bus, one rate.

    Attributes:
        kind: What it is.
        side: Of arms, hands and grippers; the only arm is the right one.
        command_hz: Commands a second that its hardware takes.
        slots: Half-open slice of the unified space that holds its joints.
        unit: How the unified space counts them: `rad` as they are; `open_fraction`, for grippers, from 0 (`closed`) to
            1 (`open`).
        joints: In the order of the slots.
        open, closed: Joint positions of the open and the closed hand or gripper, [rad], in the order of the joints.
        raw: The device's units, where they are not radians.
        servo: How the twin's motors follow.
    """

    kind: Literal["arm", "hand", "gripper", "head", "waist"]
    side: Side | None = None
    command_hz: Rate
    slots: tuple[Slot, Slot]
    unit: Literal["rad", "open_fraction"] = "rad"
    joints: Annotated[tuple[Joint, ...], Meta(min_length=1)]
    open: tuple[Position, ...] | None = None
    closed: tuple[Position, ...] | None = None
    raw: RawUnits | None = None
    servo: Servo

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints, in the order of the slots."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def slot_units(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """How its slots count its joints: offset and scale, shape (2, joints), [rad]; (joint - offset) / scale."""
        if self.unit == "open_fraction" and self.open is not None and self.closed is not None:
            closed = np.array(self.closed)
            return np.stack([closed, np.array(self.open) - closed])
        return np.stack([np.zeros(len(self.joints)), np.ones(len(self.joints))])


class EndEffector(_Struct, frozen=True, kw_only=True):
    """The frame that end-effector states and actions of one side are about, in the robot's base.

    Attributes:
        frame: A frame of the model.
        groups: The groups that inverse kinematics moves to bring it somewhere.
        position, rotation: Slots of its position, [m], and of its rotation, axis-angle [rad].
    """

    frame: Annotated[str, Meta(min_length=1)]
    groups: Annotated[tuple[str, ...], Meta(min_length=1)]
    position: tuple[Slot, Slot]
    rotation: tuple[Slot, Slot]


class Camera(_Struct, frozen=True, kw_only=True):
    """A camera: its stream, and where it is.

    Attributes:
        width, height: Pixels.
        fps: Frames a second.
        mount: A link that carries it, or "base" for one that stands beside the robot.
        position: Of its centre in the mount, [m].
        look_at: A point on its optical axis in the mount, [m].
        up: A direction in the mount that is up in the picture, as far as the optical axis leaves it open.
        fovy: Vertical angle of view, [deg].
    """

    width: Pixels
    height: Pixels
    fps: Rate
    mount: Annotated[str, Meta(min_length=1)] = "base"
    position: Point
    look_at: Point
    up: Point = (0.0, 0.0, 1.0)
    fovy: Annotated[float, Meta(gt=0, lt=180)]


class HoldFallback(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="hold"):
    """Without an action, stay where the last command was."""


class RampFallback(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="ramp"):
    """Without an action, move to the rest pose at a fraction of each joint's velocity limit.

    For policies in joint form only: each row of it as an end-effector action would take forward kinematics in the
    control thread. Other runs are refused before the robot moves.
    """

    velocity_fraction: Annotated[float, Meta(gt=0, le=1)]


class EmbodimentSpec(_Struct, frozen=True, kw_only=True):
    """Everything the runtime must know about a robot.

    Attributes:
        format: Of this file.
        name: The file's name without its ending.
        title: For people.
        model: A robot that `unichunk.kinematics` knows, or a URDF file beside the spec.
        driver: `module:Class` of the hardware driver, a `RobotDevice` made from the spec; None where there is none.
        action_hz: Action steps (ticks) a second.
        groups: The joints, in command order.
        end_effectors: By side.
        cameras: By name.
        fallback: What runs where no row is.
        watchdog_s: After this long without a command the driver brings the robot to rest, [s].
        observation_max_age_s: Older observations are not acted on, [s].
        frozen_camera_s: A camera that repeats the same picture for this long is taken for frozen, [s].
        following_error: A joint further from its command than this, [rad], for longer than ...
        following_error_s: ... this, [s], is taken for blocked, overloaded or without torque.
        expected_latency_s: From the capture of an image to the chunk, as expected before anything was measured, [s].
        delay_margin_ticks: Ticks added to the measured latency when a delay is committed.
        minimum_postfix_ticks: Fewest rows of its own that a chunk must keep after the locked prefix.
        checked_stream: True where every set-point counts: the controller refuses a stream that misses a sample (FR3),
            or follows at once whatever it gets. A driver that left out a period then ends the stream. False where the
            servos have a speed and acceleration profile of their own: there it goes on, unless it was held up for
            `watchdog_s`.
        twin: The simulated robot; None where there is none.
        notes: Sources and assumptions.
    """

    format: int
    name: Annotated[str, Meta(min_length=1)]
    title: str
    model: Annotated[str, Meta(min_length=1)]
    driver: str | None = None
    action_hz: Rate
    groups: Annotated[dict[str, JointGroup], Meta(min_length=1)]
    end_effectors: dict[Side, EndEffector] = {}
    cameras: dict[str, Camera]
    fallback: HoldFallback | RampFallback
    watchdog_s: Seconds
    observation_max_age_s: Seconds
    frozen_camera_s: Seconds
    following_error: Annotated[float, Meta(gt=0, le=1000)]
    following_error_s: Seconds
    expected_latency_s: Seconds
    delay_margin_ticks: Ticks
    minimum_postfix_ticks: Ticks
    checked_stream: bool = False
    twin: Twin | None = None
    notes: dict[str, str] = {}

    @cached_property
    def joints(self) -> tuple[Joint, ...]:
        """All joints in command order."""
        return tuple(joint for group in self.groups.values() for joint in group.joints)

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Joint names in command order."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def command_hz(self) -> int:
        """Commands a second that the runtime sends: the rate of the fastest group."""
        return max(group.command_hz for group in self.groups.values())

    @cached_property
    def limits(self) -> JointLimits:
        """The joints' limits in command order."""
        return JointLimits.of(
            self.joint_names,
            [joint.lower for joint in self.joints],
            [joint.upper for joint in self.joints],
            [joint.velocity for joint in self.joints],
            [joint.acceleration for joint in self.joints],
            [joint.jerk for joint in self.joints],
            [joint.acceleration / 2 if joint.braking is None else joint.braking for joint in self.joints],
        )

    @cached_property
    def rest(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Rest pose, shape (n,), [rad]."""
        return np.array([joint.rest for joint in self.joints])

    def joint_index(self, group: str) -> list[int]:
        """Positions of a group's joints in command order."""
        return [self.joint_names.index(name) for name in self.groups[group].joint_names]
