"""URDF documents: read into an element tree and checked once, so that what comes after can trust them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from unichunk.kinematics.errors import UrdfError
from unichunk.kinematics.names import instead_of, listed
from unichunk.kinematics.urdf_attributes import attribute, check_origin, checked_numbers
from unichunk.kinematics.urdf_link import check_link

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

_JOINT_TYPES: Final = ("revolute", "prismatic", "continuous", "fixed")

_FARTHEST: Final = {"revolute": 4 * math.pi, "prismatic": 10.0}
"""No joint of a robot goes farther than two turns, [rad], or farther than this, [m]; degrees and millimetres do."""


def parse_urdf(text: str | bytes, origin: str) -> Element:
    """The `<robot>` element of a URDF document.

    Args:
        text: The document.
        origin: What to call it in error messages.

    Raises:
        UrdfError: Where the document is no XML, no `<robot>`, or fails `check_urdf`.
    """
    try:
        robot = ElementTree.fromstring(text)  # noqa: S314 - files of this project, or the user's own robot
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise UrdfError(f"{origin}: expected a URDF, got no XML ({error})") from None
    if robot.tag != "robot":
        raise UrdfError(f"{origin}: expected a URDF, got <{robot.tag}> where <robot> should be")
    check_urdf(robot, origin)
    return robot


def check_urdf(robot: Element, origin: str) -> None:
    """Check that names are unique, numbers are possible, no limit is empty, and the links form one tree.

    Possible are limits that are in radians and metres, shapes of positive sizes, and inertias of something solid.

    Raises:
        UrdfError: With the first thing that is wrong.
    """
    links, joints = robot.findall("link"), robot.findall("joint")
    for elements, kind in ((links, "link"), (joints, "joint")):
        _check_names([element.get("name", "") for element in elements], f"{origin}: {kind}")
    for link in links:
        check_link(link, f"{origin}: link {link.get('name')}")
    drivers = {joint_name(joint) for joint in joints if joint.get("type") != "fixed" and driver_of(joint) is None}
    for joint in joints:
        _check_joint(joint, f"{origin}: joint {joint_name(joint)}")
        driver = driver_of(joint)
        if driver is not None and driver not in drivers:
            raise UrdfError(
                f"{origin}: joint {joint_name(joint)} mimics {driver!r}, which is no joint that moves by itself: "
                f"{instead_of(driver, drivers)}"
            )
    _check_tree({link.get("name", "") for link in links}, joints, origin)


def joint_name(joint: Element) -> str:
    """The name of a `<joint>`."""
    return joint.get("name", "")


def parent_of(joint: Element) -> str:
    """The link that a `<joint>` hangs on."""
    return attribute(joint, "parent", "link", "")


def child_of(joint: Element) -> str:
    """The link that a `<joint>` moves."""
    return attribute(joint, "child", "link", "")


def driver_of(joint: Element) -> str | None:
    """The joint that a `<joint>` mimics; None where it moves by itself."""
    return None if joint.find("mimic") is None else attribute(joint, "mimic", "joint", "")


def root_link(robot: Element) -> str:
    """The link of a checked `<robot>` that no joint moves."""
    children = {child_of(joint) for joint in robot.findall("joint")}
    return next(name for link in robot.findall("link") if (name := link.get("name", "")) not in children)


def _check_names(names: list[str], where: str) -> None:
    if "" in names:
        raise UrdfError(f"{where} number {names.index('') + 1} has no name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UrdfError(f"{where} names must be different, found more than once: {listed(twice)}")


def _check_joint(joint: Element, where: str) -> None:
    kind = joint.get("type", "")
    if kind not in _JOINT_TYPES:
        raise UrdfError(f"{where}: expected type {', '.join(_JOINT_TYPES)}, got {kind!r}")
    check_origin(joint, where)
    if kind == "fixed":
        return
    axis = checked_numbers(joint, "axis", "xyz", 3, where)
    if joint.find("axis") is not None and not any(axis):
        raise UrdfError(f"{where}: expected an axis that is not zero, got 0 0 0")
    if any(axis) and not 1e-3 < math.hypot(*axis) < 1e3:
        raise UrdfError(f"{where}: expected an axis of about length 1, got {math.hypot(*axis):g}")
    (multiplier,) = checked_numbers(joint, "mimic", "multiplier", 1, where, default="1")
    checked_numbers(joint, "mimic", "offset", 1, where)
    if joint.find("mimic") is not None and multiplier == 0:
        raise UrdfError(f"{where}: expected a mimic multiplier that is not 0: make the joint fixed if it does not move")
    if kind != "continuous":
        _check_limit(joint, where)


def _check_limit(joint: Element, where: str) -> None:
    (lower,) = checked_numbers(joint, "limit", "lower", 1, where)
    (upper,) = checked_numbers(joint, "limit", "upper", 1, where)
    (velocity,) = checked_numbers(joint, "limit", "velocity", 1, where)
    (effort,) = checked_numbers(joint, "limit", "effort", 1, where)
    if not lower < upper:
        raise UrdfError(f"{where}: expected a limit with lower < upper, got lower {lower:g} and upper {upper:g}")
    farthest, value = _FARTHEST[joint.get("type", "")], max(lower, upper, key=abs)
    if abs(value) > farthest:
        unit, other = ("rad", "degrees") if joint.get("type") == "revolute" else ("m", "millimetres")
        raise UrdfError(
            f"{where}: expected a limit within {farthest:.4g} {unit}, got {value:g}: "
            f"is it in {other}? Write it in {unit}"
        )
    if velocity <= 0 or effort < 0:
        raise UrdfError(
            f"{where}: expected a limit with velocity above 0 and effort at least 0, got {velocity:g} and {effort:g}"
        )


def _check_tree(links: set[str], joints: Iterable[Element], origin: str) -> None:
    mover: dict[str, str] = {}
    children: dict[str, list[str]] = {}
    for joint in joints:
        for role, link in (("parent", parent_of(joint)), ("child", child_of(joint))):
            if link not in links:
                raise UrdfError(
                    f"{origin}: joint {joint_name(joint)}: unknown {role} link {link!r}: {instead_of(link, links)}"
                )
        child = child_of(joint)
        if child in mover:
            raise UrdfError(
                f"{origin}: link {child} has two parents, by the joints {mover[child]}, {joint_name(joint)}"
            )
        mover[child] = joint_name(joint)
        children.setdefault(parent_of(joint), []).append(child)
    roots = sorted(links - set(mover))
    if len(roots) != 1:
        raise UrdfError(f"{origin}: expected one root link, found {listed(roots) or 'none'}")
    reached = {roots[0]}
    waiting = list(roots)
    while waiting:
        found = children.get(waiting.pop(), [])
        reached.update(found)
        waiting += found
    if reached != links:
        raise UrdfError(f"{origin}: joints form a loop through the links {listed(sorted(links - reached))}")
