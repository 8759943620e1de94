"""The part of a spec that describes the simulated robot: motors, surroundings and the task it is scored on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from unichunk.embodiments.quantities import (  # noqa: TC001  (msgspec reads them at run time)
    Friction,
    Gain,
    Inertia,
    Length,
    Mass,
    Point,
    Range,
    Size,
    Speed,
)


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    pass


class Servo(_Struct, frozen=True, kw_only=True):
    """How a motor follows its set-point: torque = stiffness (command - q) - damping dq, within the joint's effort.

    Attributes:
        stiffness: [Nm/rad]; one number for all joints of the group, or one each.
        damping: [Nm s/rad]; the same.
        armature: Inertia of rotor and gears seen at the joint, [kg m^2].
        friction: Dry friction, [Nm].
    """

    stiffness: Gain | tuple[Gain, ...]
    damping: Gain | tuple[Gain, ...]
    armature: Inertia = 0.01
    friction: Friction = 0.0


class Hover(_Struct, frozen=True, kw_only=True):
    """What one hand does in the follow task.

    Attributes:
        frame: A frame of the model that is brought there.
        offset: From the named block's centre to the frame's origin, in the base, [m].
        axis: Which axis of the frame should point along `direction`; None leaves the rotation to the rest pose.
        direction: In the base, a unit vector.
    """

    frame: Annotated[str, Meta(min_length=1)]
    offset: Point
    axis: Literal["x", "y", "z"] | None = None
    direction: Point = (0.0, 0.0, -1.0)


class FollowTask(_Struct, frozen=True, kw_only=True):
    """Two blocks move over a region; the hand or hands follow the one that the instruction names.

    Attributes:
        region_x, region_y: Where the blocks' centres may be, in the base, [m].
        height: Height of their centres, [m].
        half_size: Half the edge of a block, [m].
        clearance: Their centres never come closer than this, [m]; at most 0.45 of the region's diagonal.
        speed: Slowest and fastest speed while they move, [m/s].
        near: On target is who is within this distance of its point, [m].
        hands: By side.
    """

    region_x: Range
    region_y: Range
    height: Length
    half_size: Size
    clearance: Size
    speed: tuple[Speed, Speed]
    near: Size
    hands: Annotated[dict[Literal["right", "left"], Hover], Meta(min_length=1)]


class LooseObject(_Struct, frozen=True, kw_only=True):
    """A box that can be pushed and grasped; it is there only on request.

    Attributes:
        name: Its body's name.
        half_size: Half its edges, [m].
        position: Where it starts, in the base, [m].
        mass: [kg].
        colour: Red, green, blue, opacity.
    """

    name: Annotated[str, Meta(min_length=1)]
    half_size: Point
    position: Point
    mass: Mass
    colour: tuple[float, float, float, float]


class Twin(_Struct, frozen=True, kw_only=True):
    """The simulated robot's surroundings.

    Attributes:
        table_height: Height of the table's surface in the robot's base, [m].
        table_x, table_y: Its extent, [m].
        gravity_compensated: Whether the robot's own controller carries its weight.
        task: What it can be scored on.
        objects: Loose objects, there on request.
    """

    table_height: Length = 0.0
    table_x: Range = (-1.5, 1.5)
    table_y: Range = (-1.5, 1.5)
    gravity_compensated: bool = False
    task: FollowTask | None = None
    objects: tuple[LooseObject, ...] = ()
