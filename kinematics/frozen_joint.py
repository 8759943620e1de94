"""Joints that are frozen where they stand: made fixed, with the motion put into their origin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.errors import DescriptionError
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.rotation import about_axis, from_rpy
from unichunk.kinematics.urdf_attributes import numbers, words
from unichunk.kinematics.urdf_document import driver_of, joint_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray


def freeze_joints(robot: Element, fixed: Mapping[str, float], origin: str) -> None:
    """Freeze joints of a checked `<robot>`, and the joints that mimic them.

    Args:
        robot: Changed in place.
        fixed: Where each joint is frozen, [rad] or [m]. A joint that mimics another may be named, with the value that
            it takes anyway.
        origin: What to call the description in error messages.

    Raises:
        DescriptionError: For an unknown joint, one that does not move or that another one moves, and for a value
            outside the limits.
    """
    joints = {joint_name(joint): joint for joint in robot.findall("joint")}
    for name in fixed:
        where = f"{origin}: robot.fixed.{name}"
        if name not in joints:
            raise DescriptionError(f"{where}: unknown joint: {instead_of(name, joints)}")
        if joints[name].get("type") == "fixed":
            raise DescriptionError(f"{where}: the joint is fixed already, expected one that moves")
    values = {name: _frozen_value(joint, joints, fixed, origin) for name, joint in joints.items()}
    for name, value in values.items():
        if value is not None:
            _check_value(joints[name], value, origin)
            _freeze(joints[name], value)


def _frozen_value(
    joint: Element, joints: Mapping[str, Element], fixed: Mapping[str, float], origin: str
) -> float | None:
    """Where a joint is frozen; None where it stays as it is."""
    name, driver = joint_name(joint), driver_of(joint)
    if driver is None:
        return fixed.get(name)
    value = _frozen_value(joints[driver], joints, fixed, origin)
    if value is not None:
        (multiplier,), (offset,) = numbers(joint, "mimic", "multiplier", "1"), numbers(joint, "mimic", "offset", "0")
        value = multiplier * value + offset
    if name in fixed and (value is None or not math.isclose(value, fixed[name], abs_tol=1e-9)):
        expected = f"{driver} frozen, which it mimics" if value is None else f"{value:g} (it mimics {driver})"
        raise DescriptionError(f"{origin}: robot.fixed.{name}: expected {expected}, got {fixed[name]:g}")
    return value


def _check_value(joint: Element, value: float, origin: str) -> None:
    if joint.get("type") == "continuous":
        return
    (lower,), (upper,) = numbers(joint, "limit", "lower", "0"), numbers(joint, "limit", "upper", "0")
    if not lower <= value <= upper:
        raise DescriptionError(
            f"{origin}: robot.fixed: {joint_name(joint)} would be frozen at {value:g}, "
            f"expected a value within its limits {lower:g} to {upper:g}"
        )


def _freeze(joint: Element, value: float) -> None:
    axis = np.array(numbers(joint, "axis", "xyz", "1 0 0"))
    axis /= np.linalg.norm(axis)
    pose_joint_in_parent = np.eye(4)
    pose_joint_in_parent[:3, :3] = from_rpy(numbers(joint, "origin", "rpy", "0 0 0"))
    pose_joint_in_parent[:3, 3] = numbers(joint, "origin", "xyz", "0 0 0")
    pose_child_in_joint = np.eye(4)
    if joint.get("type") == "prismatic":
        pose_child_in_joint[:3, 3] = value * axis
    else:
        pose_child_in_joint = about_axis(axis, np.array(value))
    pose_child_in_parent = pose_joint_in_parent @ pose_child_in_joint
    for element in list(joint):
        if element.tag not in {"parent", "child"}:
            joint.remove(element)
    joint.set("type", "fixed")
    joint.append(
        joint.makeelement(
            "origin", {"xyz": words(pose_child_in_parent[:3, 3]), "rpy": words(_to_rpy(pose_child_in_parent[:3, :3]))}
        )
    )


def _to_rpy(rotation: NDArray[np.float64]) -> list[float]:
    """Roll, pitch, yaw of a rotation matrix, [rad].

    Where the pitch is a quarter turn, any roll will do: the yaw is taken from what the roll found leaves to turn, so
    that the three together are exact there too.
    """
    roll = math.atan2(rotation[2, 1], rotation[2, 2])
    sine, cosine = math.sin(roll), math.cos(roll)
    pitch = math.atan2(-rotation[2, 0], math.hypot(rotation[0, 0], rotation[1, 0]))
    yaw = math.atan2(sine * rotation[0, 2] - cosine * rotation[0, 1], cosine * rotation[1, 1] - sine * rotation[1, 2])
    return [roll, pitch, yaw]
