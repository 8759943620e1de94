"""A user's calibrated model against the shipped one: nearly the same motion.

A calibration moves a robot's frames by millimetres and turns them by a few degrees. What is farther away is a mistake:
degrees for radians, millimetres for metres, a sign, another base.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pinocchio as pin

from unichunk.kinematics.errors import UrdfError
from unichunk.kinematics.transforms import pose_distance
from unichunk.kinematics.urdf_attributes import numbers
from unichunk.kinematics.urdf_document import joint_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

_FARTHEST: Final = 0.1
"""How far a frame of a calibrated model may be from the shipped one's, [m]."""

_WIDEST: Final = math.radians(30.0)
"""How far a joint's axis, or a frame, may be turned from the shipped model's, [rad]."""

_SHARES: Final = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75))
"""Where in the ranges of the even and odd joints models are compared, the middle first."""


class CheckedModel(NamedTuple):
    """A model, and the document that it is built from.

    Attributes:
        model: Pinocchio's model.
        robot: Its `<robot>`, checked.
    """

    model: pin.Model
    robot: Element


@np.errstate(invalid="ignore", over="ignore")
def check_calibrated_model(calibrated: CheckedModel, shipped: CheckedModel, frames: Sequence[str], origin: str) -> None:
    """Check that joints' axes and the frames that matter are nearly where the shipped model has them, in the base.

    Axes are compared in the middle of the shipped model's ranges, frames there and at a few other configurations.

    Args:
        calibrated: The user's model; its joints have the shipped model's names and order.
        shipped: The model it replaces.
        frames: Links to compare, which both have.
        origin: What to call the user's in error messages.

    Raises:
        UrdfError: With the first joint, from the base outwards, or else the first frame that is too far away.
    """
    lower, upper = shipped.model.lowerPositionLimit, shipped.model.upperPositionLimit
    for shares in _SHARES:
        q = lower + np.resize(shares, len(lower)) * (upper - lower)
        data, expected = _forward_kinematics(calibrated.model, q), _forward_kinematics(shipped.model, q)
        if shares == _SHARES[0]:
            _check_axes(_axes_in_base(calibrated, data), _axes_in_base(shipped, expected), shipped.model.name, origin)
        for frame in frames:
            place = f"{origin}: frame {frame}: expected it where {shipped.model.name} has it"
            position, rotation = pose_distance(
                _pose(calibrated.model, data, frame), _pose(shipped.model, expected, frame)
            )
            if not position <= _FARTHEST:
                raise UrdfError(
                    f"{place}, to {_FARTHEST:g} m, got it {position:.3g} m away"
                    f"{_farthest_origin(calibrated.model, shipped.model, frame)}: "
                    "are all origins in metres and radians, and is the base the same?"
                )
            if not rotation <= _WIDEST:
                raise UrdfError(
                    f"{place}, to {_degrees(_WIDEST)} degrees, got it turned by {_degrees(float(rotation))}: "
                    "are all rpy in radians, and its axes the same?"
                )


def _check_axes(
    found: dict[str, NDArray[np.float64]], expected: dict[str, NDArray[np.float64]], robot: str, origin: str
) -> None:
    for joint, axis in expected.items():
        angle = math.acos(float(np.clip(found[joint] @ axis, -1.0, 1.0)))
        if not angle <= _WIDEST:
            raise UrdfError(
                f"{origin}: joint {joint}: expected its axis within {_degrees(_WIDEST)} degrees of {robot}'s, got "
                f"{_degrees(angle)}: it points to {_direction(found[joint])} in the base, expected "
                f"{_direction(axis)} (joints at the middle of their ranges): is its sign right, is rpy in radians?"
            )


def _forward_kinematics(model: pin.Model, q: NDArray[np.float64]) -> pin.Data:
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    return data


def _axes_in_base(checked: CheckedModel, data: pin.Data) -> dict[str, NDArray[np.float64]]:
    """Unit vectors along the axes of the moving joints by their names, from the base outwards."""
    joints = {joint_name(joint): joint for joint in checked.robot.findall("joint")}
    axes = {}
    for index, name in enumerate(checked.model.names):
        if name in joints:
            axis = np.array(numbers(joints[name], "axis", "xyz", "1 0 0"))
            axes[name] = data.oMi[index].rotation @ (axis / np.linalg.norm(axis))
    return axes


def _pose(model: pin.Model, data: pin.Data, frame: str) -> NDArray[np.float64]:
    pose: NDArray[np.float64] = data.oMf[model.getFrameId(frame, pin.FrameType.BODY)].homogeneous
    return pose


def _farthest_origin(model: pin.Model, shipped: pin.Model, frame: str) -> str:
    """Which origin between the base and a frame is off, where one is: what to look at first."""
    found, expected = (m.frames[m.getFrameId(frame, pin.FrameType.BODY)] for m in (model, shipped))
    difference = {f"link {frame}": float(np.linalg.norm(found.placement.translation - expected.placement.translation))}
    for joint in shipped.supports[expected.parentJoint]:
        offset = model.jointPlacements[joint].translation - shipped.jointPlacements[joint].translation
        difference[f"joint {shipped.names[joint]}"] = float(np.linalg.norm(offset))
    name = max(difference, key=lambda name: difference[name])
    return f", with the origin of {name} {difference[name]:.3g} m off" if difference[name] > _FARTHEST / 2 else ""


def _degrees(angle: float) -> str:
    return f"{math.degrees(angle):.3g}"


def _direction(vector: NDArray[np.float64]) -> str:
    # Adding zero turns -0.00 into 0.00.
    return " ".join(f"{component:.2f}" for component in vector.round(2) + 0.0)
