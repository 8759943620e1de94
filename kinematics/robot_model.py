"""Pinocchio models of the robots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pinocchio as pin

from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.calibrated_model import CheckedModel, check_calibrated_model
from unichunk.kinematics.calibrated_urdf import check_calibrated
from unichunk.kinematics.description import robot_description
from unichunk.kinematics.errors import UnknownModel, UrdfError
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.urdf_document import parse_urdf

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.kinematics.description import RobotDescription


def robot_model(name: str, urdf: Path | str | None = None) -> pin.Model:
    """The Pinocchio model of a robot or hand, with the manufacturer's joint and link names, fixed at its base.

    Configurations q are shape (nq,), [rad] or [m], in the order of `joint_names(model)`; nq = nv. Joints that mimic
    another have no place in q: Pinocchio moves them with it, and its Jacobians (computeFrameJacobian,
    getFrameJacobian) have their share in the column of the joint that drives them.

    Args:
        name: One of `robot_names()`.
        urdf: A URDF file that replaces the shipped one: the user's own, calibrated one. It must have the same moving
            joints: names, types, mimics, and which hangs on which. Those frames of the robot's description that it has,
            too, must be within 0.1 m and 30 degrees of where the shipped model has them.

    Raises:
        UnknownModel: Where no robot goes by that name.
        UrdfError: Where the user's file is no URDF of this robot.
    """
    shipped_text = robot_urdf(name)
    shipped = _build(shipped_text, name)
    if urdf is None:
        return shipped
    text, origin = robot_urdf(name, urdf), str(urdf)
    robot, shipped_robot = parse_urdf(text, origin), parse_urdf(shipped_text, name)
    check_calibrated(robot, shipped_robot, origin)
    model = _build(text, origin)
    _check_order(model, shipped, origin)
    frames = [frame for frame in _described_frames(robot_description(name)) if model.existFrame(frame)]
    check_calibrated_model(CheckedModel(model, robot), CheckedModel(shipped, shipped_robot), frames, origin)
    return model


def joint_names(model: pin.Model) -> tuple[str, ...]:
    """Names of the joints that q has a place for, in its order."""
    followers = set(model.mimicking_joints)
    return tuple(name for i, name in enumerate(model.names) if i > 0 and i not in followers)


def frame_index(model: pin.Model, frame: str) -> int:
    """Index of a link or frame in the model's frames.

    Where a joint goes by the same name as a link, the link is meant; Pinocchio's own getFrameId refuses to choose.

    Raises:
        UnknownModel: Where there is no such frame; the message has those that are like it.
    """
    if model.existFrame(frame, pin.FrameType.BODY):
        return int(model.getFrameId(frame, pin.FrameType.BODY))
    for i, candidate in enumerate(model.frames):
        if candidate.name == frame:
            return i
    links = [candidate.name for candidate in model.frames if candidate.type == pin.FrameType.BODY]
    raise UnknownModel(f"unknown frame {frame!r} of {model.name}: {instead_of(frame, links)}")


def _described_frames(description: RobotDescription) -> tuple[str, ...]:
    """The frames that others ask the model for: ends of arms, palms, fingertips, cameras."""
    hands = description.hands.values()
    fingertips = [tip for hand in hands for tip in hand.fingertips.values()]
    return (
        *description.end_effectors.values(),
        *(hand.palm for hand in hands),
        *fingertips,
        *description.cameras.values(),
    )


def _build(text: str, origin: str) -> pin.Model:
    try:
        return pin.buildModelFromXML(text, mimic=True)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UrdfError(f"{origin}: expected a URDF that Pinocchio can read, it says: {reason}") from error


def _check_order(model: pin.Model, shipped: pin.Model, origin: str) -> None:
    """Pinocchio orders joints from the base outwards, and those on the same link by name, whether fixed or moving."""
    for name, parent, expected_name, expected_parent in zip(
        model.names, model.parents, shipped.names, shipped.parents, strict=True
    ):
        if name != expected_name or parent != expected_parent:
            raise UrdfError(
                f"{origin} links the joints of {model.name} in another order: expected {expected_name} after "
                f"{shipped.names[expected_parent]}, got {name} after {model.names[parent]} (the joints between them, "
                "moving or fixed, must hang on each other and be named as in the shipped model)"
            )
