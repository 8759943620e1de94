"""Collision shapes of the robots, for Pinocchio's distance computations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pinocchio as pin

from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.errors import UrdfError
from unichunk.kinematics.robot_model import robot_model
from unichunk.kinematics.urdf_document import parse_urdf

if TYPE_CHECKING:
    from pathlib import Path


def robot_geometry(name: str, urdf: Path | str | None = None) -> pin.GeometryModel:
    """The collision shapes of a robot or hand: boxes, cylinders and spheres on the links, without collision pairs.

    They belong to `robot_model(name, urdf)`: parentJoint and parentFrame are indices into that model.

    Args:
        name: One of `robot_names()`.
        urdf: The user's own, calibrated URDF, as for `robot_model`.

    Raises:
        UnknownModel: Where no robot goes by that name.
        UrdfError: Where the user's file is no URDF of this robot, or has meshes to collide with.
    """
    model = robot_model(name, urdf)
    text = robot_urdf(name, urdf)
    _check_shapes(text, name if urdf is None else str(urdf))
    return pin.buildGeomFromUrdfString(model, text, pin.GeometryType.COLLISION)


def _check_shapes(text: str, origin: str) -> None:
    for link in parse_urdf(text, origin).findall("link"):
        if link.find("collision/geometry/mesh") is not None:
            raise UrdfError(
                f"{origin}: link {link.get('name')}: expected boxes, cylinders and spheres to collide with, got a mesh "
                "(write shapes into the file, or take the shipped ones by leaving the file out)"
            )
