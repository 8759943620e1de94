"""Links in URDF documents: masses and inertias of something solid, shapes of positive sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.errors import UrdfError
from unichunk.kinematics.urdf_attributes import check_origin, checked_numbers

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SIZES: Final = {"box": {"size": 3}, "cylinder": {"radius": 1, "length": 1}, "sphere": {"radius": 1}}
"""What tells the size of each shape, and by how many numbers."""

_MOMENTS: Final = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")


def check_link(link: Element, where: str) -> None:
    """Check the numbers of a `<link>`.

    Readers of URDF leave out what they cannot read of it, with a line in the terminal at most: a robot without a mass,
    or without a shape to collide with, and nobody knows.

    Args:
        link: What to check.
        where: What to call it in error messages.

    Raises:
        UrdfError: With the first number that is wrong, and what was expected.
    """
    for inertial in link.findall("inertial"):
        _check_inertial(inertial, f"{where}: inertial")
    for kind in ("visual", "collision"):
        for element in link.findall(kind):
            check_origin(element, f"{where}: {kind}")
            for geometry in element.findall("geometry"):
                _check_sizes(geometry, f"{where}: {kind}")


def _check_inertial(inertial: Element, where: str) -> None:
    check_origin(inertial, where)
    (mass,) = checked_numbers(inertial, "mass", "value", 1, where, default="")
    if mass < 0:
        raise UrdfError(f"{where}: mass: expected a number that is not negative, got {mass:g}")
    if mass == 0:
        return
    xx, yy, zz, xy, xz, yz = (checked_numbers(inertial, "inertia", key, 1, where, default="")[0] for key in _MOMENTS)
    least = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])[0]
    if not least > 0:
        raise UrdfError(f"{where}: inertia: expected principal moments above 0 kg m^2, got {least:.3g} as the least")


def _check_sizes(geometry: Element, where: str) -> None:
    for shape, sizes in _SIZES.items():
        for key, count in sizes.items() if geometry.find(shape) is not None else ():
            found = checked_numbers(geometry, shape, key, count, where, default="")
            if min(found) <= 0:
                raise UrdfError(f"{where}: {shape} {key}: expected metres above 0, got {min(found):g}")
