"""Robots put together: the URDF parts that a description names, merged into one URDF document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from unichunk.kinematics.description import robot_description
from unichunk.kinematics.errors import DescriptionError, UrdfError
from unichunk.kinematics.frozen_joint import freeze_joints
from unichunk.kinematics.names import instead_of, listed
from unichunk.kinematics.urdf_attributes import words
from unichunk.kinematics.urdf_document import (
    check_urdf,
    child_of,
    driver_of,
    joint_name,
    parent_of,
    parse_urdf,
    root_link,
)
from unichunk.kinematics.urdf_files import urdf_path

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from unichunk.kinematics.description import Part, RobotDescription


def robot_urdf(name: str, urdf: Path | str | None = None) -> str:
    """The URDF of a robot or hand, as one document whose `<robot>` has the given name.

    Args:
        name: One of `robot_names()`.
        urdf: A URDF file that replaces the shipped robot: the user's own, calibrated one. Nothing is removed from it,
            attached to it or frozen in it.

    Raises:
        UnknownModel: Where no robot goes by that name.
        DescriptionError: Where the shipped parts do not fit the robot's description.
        UrdfError: Where a file cannot be read as a URDF.
    """
    description = robot_description(name)
    robot = assemble(description, f"robots/{name}.json") if urdf is None else parse_urdf(_read(Path(urdf)), str(urdf))
    robot.set("name", name)
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding="unicode")


def assemble(description: RobotDescription, origin: str) -> Element:
    """The `<robot>` that a description describes.

    Args:
        description: What to put together.
        origin: What to call the description in error messages.

    Raises:
        UnknownModel: For a part that does not ship.
        DescriptionError: For an unknown link or joint, a link to remove that is no leaf, and a value to freeze a joint
            at that its limits exclude.
        UrdfError: For parts that cannot be merged: names that would be there twice.
    """
    first, *others = description.parts
    robot = _load(first)
    for i, link in enumerate(description.remove):
        _remove(robot, link, f"{origin}: robot.remove[{i}]")
    for i, part in enumerate(others, start=1):
        _attach(robot, part, f"{origin}: robot.parts[{i}]")
    check_urdf(robot, origin)
    freeze_joints(robot, description.fixed, origin)
    return robot


def _read(urdf: Path) -> bytes:
    try:
        return urdf.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UrdfError(f"{urdf}: expected the path of a URDF file ({reason})") from error


def _load(part: Part) -> Element:
    """The part with its names prefixed."""
    robot = parse_urdf(urdf_path(part.urdf).read_bytes(), part.urdf)
    for element in robot.iter():
        if element.tag in {"link", "joint", "material"} and "name" in element.attrib:
            element.set("name", part.prefix + element.get("name", ""))
        for key in ("link", "joint"):
            # <parent link=...>, <child link=...> and <mimic joint=...> refer to a name.
            if element.tag in {"parent", "child", "mimic"} and key in element.attrib:
                element.set(key, part.prefix + element.get(key, ""))
    return robot


def _remove(robot: Element, name: str, where: str) -> None:
    links = {link.get("name", ""): link for link in robot.findall("link")}
    if name not in links:
        raise DescriptionError(f"{where}: unknown link {name!r}: {instead_of(name, links)}")
    joints = robot.findall("joint")
    carried = [child_of(joint) for joint in joints if parent_of(joint) == name]
    if carried:
        raise DescriptionError(f"{where}: expected a leaf, but the link {name} carries {listed(carried)}")
    movers = [joint for joint in joints if child_of(joint) == name]
    if not movers:
        raise DescriptionError(f"{where}: the link {name} is the only one of the part and stays")
    followers = [joint_name(joint) for joint in joints if driver_of(joint) == joint_name(movers[0])]
    if followers:
        raise DescriptionError(
            f"{where}: the link {name} goes with its joint {joint_name(movers[0])}, which {listed(followers)} mimic"
        )
    robot.remove(links[name])
    robot.remove(movers[0])


def _attach(robot: Element, part: Part, where: str) -> None:
    links = [link.get("name", "") for link in robot.findall("link")]
    # A description is parsed with a parent for every part but the first.
    parent = part.parent or ""
    if parent not in links:
        raise DescriptionError(f"{where}.parent: unknown link {parent!r}: {instead_of(parent, links)}")
    attached = _load(part)
    root = root_link(attached)
    joint = ElementTree.SubElement(robot, "joint", name=part.joint or f"{parent}_to_{root}", type="fixed")
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=root)
    ElementTree.SubElement(joint, "origin", xyz=words(part.xyz), rpy=words(part.rpy))
    materials = {material.get("name"): material for material in robot.findall("material")}
    for material in attached.findall("material"):
        same = materials.get(material.get("name"))
        if same is None:
            robot.append(material)
        elif _colour(same) != _colour(material):
            raise UrdfError(f"{where}: {part.urdf} has another colour for the material {material.get('name')!r}")
    robot.extend([*attached.findall("link"), *attached.findall("joint")])


def _colour(material: Element) -> str | None:
    colour = material.find("color")
    return None if colour is None else colour.get("rgba")
