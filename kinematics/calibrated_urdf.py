"""A user's calibrated URDF against the robot it stands for: the same joints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.kinematics.errors import UrdfError
from unichunk.kinematics.names import listed
from unichunk.kinematics.urdf_attributes import numbers
from unichunk.kinematics.urdf_document import driver_of, joint_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def check_calibrated(calibrated: Element, shipped: Element, origin: str) -> None:
    """Check that the moving joints have the shipped model's names and types, and mimic the same joints the same way.

    Limits, masses and shapes may differ. How far places and axes may, `check_calibrated_model` says.

    Args:
        calibrated: The user's `<robot>`.
        shipped: The shipped `<robot>` it replaces.
        origin: What to call the user's in error messages.

    Raises:
        UrdfError: With the missing, unexpected and differing joints.
    """
    found, expected = _motions(calibrated), _motions(shipped)
    missing = [name for name in expected if name not in found]
    unexpected = [name for name, motion in found.items() if motion != "fixed" and name not in expected]
    differing = [
        f"{name} is {found[name]}, expected {motion}"
        for name, motion in expected.items()
        if name in found and found[name] != motion and {found[name], motion} != {"fixed"}
    ]
    missing = [name for name in missing if expected[name] != "fixed"]
    complaints = [
        f"missing joints {listed(missing)} (name them so)" if missing else "",
        f"unexpected joints {listed(unexpected)} (make them fixed)" if unexpected else "",
        f"differing joints: {listed(differing)}" if differing else "",
    ]
    if any(complaints):
        told = "; ".join(filter(None, complaints))
        raise UrdfError(f"{origin} does not have the joints of {shipped.get('name')}: {told}")
    _check_multipliers(calibrated, shipped, origin)


def _check_multipliers(calibrated: Element, shipped: Element, origin: str) -> None:
    """Refuse joints that follow the other way round."""
    expected = {joint_name(joint): _multiplier(joint) for joint in shipped.findall("joint")}
    for joint in calibrated.findall("joint"):
        name, multiplier = joint_name(joint), _multiplier(joint)
        if joint.get("type") != "fixed" and multiplier * expected[name] < 0:
            raise UrdfError(
                f"{origin}: joint {name}: mimic multiplier: expected the sign of {expected[name]:g}, as in "
                f"{shipped.get('name')}, got {multiplier:g}: it would move the wrong way"
            )


def _multiplier(joint: Element) -> float:
    (multiplier,) = numbers(joint, "mimic", "multiplier", "1")
    return multiplier


def _motions(robot: Element) -> dict[str, str]:
    """How each joint moves, in words, by its name."""
    motions = {}
    for joint in robot.findall("joint"):
        driver = driver_of(joint)
        kind = joint.get("type", "")
        motions[joint_name(joint)] = kind if driver is None or kind == "fixed" else f"{kind} mimicking {driver}"
    return motions
