"""The model of a spec's robot: one that ships, or the URDF file beside the spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

import pinocchio as pin

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model_checks import model_complaints
from unichunk.embodiments.model_tree import ModelTree
from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.description import robot_names
from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.robot_model import robot_model
from unichunk.kinematics.urdf_document import driver_of, parse_urdf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.spec import EmbodimentSpec, Joint

BASE: Final = "base"
"""What a camera is mounted on that stands beside the robot."""

_SLACK: Final = 2e-3
"""How far a spec's limits may be outside the model's, [rad] or [m]: rounding."""

_FASTER: Final = 1.01
"""How many times the model's velocity limit a spec's may be: rounding."""

_FASTER_HAND: Final = 8.0
"""The same for hands and grippers: several makers' models have 0.5 or 1 rad/s for fingers that do 3 (Inspire, O6,
Adam-U). Degrees for radians are 57 times as much."""


def model_urdf(spec: EmbodimentSpec) -> str:
    """The URDF of a spec's robot, as one document.

    It has an element that asks MuJoCo to keep visuals and the links that fixed joints hold: frames such as a tool's.

    Raises:
        SpecError: Where the spec's model is neither a robot that ships nor a URDF file that can be read.
    """
    if spec.model in robot_names():
        return robot_urdf(spec.model)
    try:
        text = Path(spec.model).read_bytes()
    except (OSError, ValueError) as error:
        # A ValueError for what can be no path: with a zero in it, say.
        reason = getattr(error, "strerror", None) or error
        name = spec.model if spec.model.isprintable() else repr(spec.model)
        raise SpecError(
            f"embodiment.model: {name}: cannot be read ({reason}); expected the path of a URDF file, or "
            f"one of {', '.join(robot_names())}"
        ) from None
    try:
        robot = parse_urdf(text, spec.model)
    except KinematicsError as error:
        raise SpecError(f"embodiment.model: {error}") from None
    if robot.find("mujoco") is None:
        wanted = ElementTree.SubElement(robot, "mujoco")
        ElementTree.SubElement(wanted, "compiler", fusestatic="false", discardvisual="false")
    robot.set("name", spec.name)
    return ElementTree.tostring(robot, encoding="unicode")


def check_model(spec: EmbodimentSpec, origin: str) -> None:
    """Check that the model has what the spec names and can do what the spec says.

    It has the spec's joints, which move by themselves, and the links of its frames, which the right joints move; with a
    twin, whatever moves has a mass.

    Args:
        spec: The robot.
        origin: What to call the spec in messages.

    Raises:
        SpecError: With the path of the key.
    """
    try:
        tree = ModelTree(parse_urdf(model_urdf(spec), spec.model))
    except SpecError as error:
        raise SpecError(f"{origin}: {error}") from None
    links, joints, model = tree.links, tree.moving(), Path(spec.model).name
    for group, parts in spec.groups.items():
        for i, joint in enumerate(parts.joints):
            where = f"{origin}: embodiment.groups.{group}.joints[{i}]"
            element = joints.get(joint.name)
            if element is None:
                raise SpecError(
                    f"{where}.name: {model} has no moving joint {joint.name!r}: {instead_of(joint.name, joints)}"
                )
            if driver_of(element) is not None:
                raise SpecError(
                    f"{where}.name: {joint.name} of {model} mimics {driver_of(element)}, expected joints that move by "
                    "themselves"
                )
            _check_range(joint, element, where, model)
            _check_velocity(parts.kind, joint, element, where, model)
    for where, frame in _frames(spec):
        if frame not in links:
            raise SpecError(f"{origin}: embodiment.{where}: {model} has no link {frame!r}: {instead_of(frame, links)}")
    for complaint in model_complaints(spec, tree):
        raise SpecError(f"{origin}: embodiment.{complaint}")


def spec_model(spec: EmbodimentSpec) -> pin.Model:
    """The Pinocchio model of a spec's robot, fixed at its base; q is in the model's order, not the spec's.

    Raises:
        SpecError: As `model_urdf`, and where Pinocchio cannot read the file.
    """
    if spec.model in robot_names():
        return robot_model(spec.model)
    try:
        return pin.buildModelFromXML(model_urdf(spec), mimic=True)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise SpecError(f"embodiment.model: {spec.model}: Pinocchio cannot read it ({reason})") from None


def _frames(spec: EmbodimentSpec) -> Iterator[tuple[str, str]]:
    """Every link that a spec names, and the path of the key that does."""
    for side, end in spec.end_effectors.items():
        yield f"end_effectors.{side}.frame", end.frame
    for name, camera in spec.cameras.items():
        if camera.mount != BASE:
            yield f"cameras.{name}.mount", camera.mount
    if spec.twin is not None and spec.twin.task is not None:
        for hand, hover in spec.twin.task.hands.items():
            yield f"twin.task.hands.{hand}.frame", hover.frame


def _check_range(joint: Joint, element: ElementTree.Element, where: str, model: str) -> None:
    """What the spec lets a joint do, its model must be able to do: else one of them is in degrees."""
    limit = element.find("limit")
    if limit is None or element.get("type") == "continuous":
        return
    lower, upper = float(limit.get("lower", "0")), float(limit.get("upper", "0"))
    for key, value in (("lower", joint.lower), ("upper", joint.upper)):
        if not lower - _SLACK <= value <= upper + _SLACK:
            raise SpecError(
                f"{where}.{key}: expected within the range of {joint.name} in {model} ({lower:g} to {upper:g}), got "
                f"{value:g}: both are in radians, or metres"
            )


def _check_velocity(kind: str, joint: Joint, element: ElementTree.Element, where: str, model: str) -> None:
    """A joint may not be faster than its model says, where it says so."""
    limit = element.find("limit")
    fastest = 0.0 if limit is None else float(limit.get("velocity", "0"))
    allowed = (_FASTER_HAND if kind in ("hand", "gripper") else _FASTER) * fastest
    if 0.0 < allowed < joint.velocity:
        raise SpecError(
            f"{where}.velocity: expected at most {allowed:.3g}, {joint.name} in {model} has {fastest:g}, got "
            f"{joint.velocity:g}: both are in radians, or metres, a second"
        )
