"""Descriptions of robots: how each is put together from URDF parts, and what it has. One JSON file per robot."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from unichunk.kinematics.errors import DescriptionError, UnknownModel
from unichunk.kinematics.names import instead_of

Side: TypeAlias = Literal["left", "right"]
Finger: TypeAlias = Literal["thumb", "index", "middle", "ring", "pinky"]
Name: TypeAlias = Annotated[str, Meta(min_length=1)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Part(_Struct, frozen=True, kw_only=True):
    """One URDF file of a robot. All parts but the first are attached to a link of those before.

    Attributes:
        urdf: The file's name, as `unichunk.kinematics.urdf_files.urdf_path` knows it.
        parent: Link that the part is fixed to; None for the first part.
        xyz: Position of the part's root in the parent link, [m].
        rpy: Roll, pitch, yaw of the part's root about the parent's fixed axes x, y, z in this order, [rad].
        prefix: Put before the names of the part's links, joints and materials.
        joint: Name of the attaching joint; None for `<parent>_to_<root of the part>`.
    """

    urdf: Name
    parent: Name | None = None
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    prefix: str = ""
    joint: Name | None = None


class HandDescription(_Struct, frozen=True, kw_only=True):
    """A hand's frames.

    Attributes:
        palm: The frame that the hand hangs on.
        fingertips: Frames of the fingertips.
    """

    palm: Name
    fingertips: Annotated[dict[Finger, Name], Meta(min_length=1)]


class RobotDescription(_Struct, frozen=True, kw_only=True):
    """How a robot is put together and what it has. Names are those of the assembled robot, prefixes included.

    Attributes:
        parts: The URDF parts.
        remove: Links that are taken out of the first part, each a leaf by its turn.
        fixed: Joints that are frozen, and where, [rad] or [m]. What mimics them is frozen with them.
        end_effectors: Frames at the ends of the arms; one-armed robots are right-handed.
        hands: The hands that have fingers.
        cameras: Frames of the cameras.
        self_collision: Pairs of links that can come to touch.
        notes: What is assumed.
    """

    parts: Annotated[tuple[Part, ...], Meta(min_length=1)]
    remove: tuple[Name, ...] = ()
    fixed: dict[Name, float] = {}
    end_effectors: dict[Side, Name] = {}
    hands: dict[Side, HandDescription] = {}
    cameras: dict[Name, Name] = {}
    self_collision: tuple[tuple[Name, Name], ...] = ()
    notes: tuple[str, ...] = ()


def parse_description(text: bytes, origin: str) -> RobotDescription:
    """Parse and check one description.

    Args:
        text: The JSON file's content.
        origin: What to call it in error messages.

    Raises:
        DescriptionError: With the path of the key and what was expected.
    """
    try:
        description = msgspec.json.decode(text, type=RobotDescription)
    except (ValueError, RecursionError) as error:
        raise DescriptionError(f"{origin}: {str(error).replace('`$.', '`robot.').replace('`$`', '`robot`')}") from None
    for complaint in _complaints(description):
        raise DescriptionError(f"{origin}: {complaint}")
    return description


def _complaints(description: RobotDescription) -> list[str]:
    found = []
    first, *others = description.parts
    if first != Part(urdf=first.urdf, prefix=first.prefix):
        found.append("robot.parts[0]: the first part carries the others, expected no parent, xyz, rpy or joint")
    for i, part in enumerate(others, start=1):
        if part.parent is None:
            found.append(f"robot.parts[{i}].parent: expected the link that {part.urdf} is attached to, got none")
    for i, (one, other) in enumerate(description.self_collision):
        if one == other:
            found.append(f"robot.self_collision[{i}]: expected two links, got {one!r} twice")
    return found


def robot_names() -> tuple[str, ...]:
    """Names of all robots and hands that ship with the project, sorted."""
    folder = resources.files("unichunk.kinematics") / "robots"
    return tuple(sorted(entry.name[: -len(".json")] for entry in folder.iterdir() if entry.name.endswith(".json")))


def robot_description(name: str) -> RobotDescription:
    """The description of a shipped robot or hand.

    Raises:
        UnknownModel: Where none goes by that name; the message has those that are like it.
        DescriptionError: Where its file does not parse.
    """
    if name not in robot_names():
        raise UnknownModel(f"unknown robot {name!r}: {instead_of(name, robot_names())}")
    path = resources.files("unichunk.kinematics") / "robots" / f"{name}.json"
    return parse_description(path.read_bytes(), f"robots/{name}.json")
