"""Rotation matrices in the forms that policies ask for them: the inverse of `unichunk.runtime.policy.rotation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.kinematics.rotation import to_axis_angle, to_quaternion_wxyz

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import RotationInput

_GIMBAL_LOCK: Final = 1e-9
"""With a cosine of the second Euler angle below this, only the sum or difference of the other two is determined."""


def rotation_in(form: RotationInput, rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices in one of the forms of `unichunk.runtime.policy.rotation`, whose conventions hold.

    Args:
        form: Which one.
        rotation: Shape (rows, 3, 3).

    Returns:
        Shape (rows, `rotation_width(form)`).
    """
    return _FORMS[form](rotation)


def _euler_xyz(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles about the body's own x, then its new y, then its new z axis; in gimbal lock the last one is zero."""
    m = np.moveaxis(rotation, (-2, -1), (0, 1))
    cosine = np.hypot(m[0, 0], m[0, 1])
    free = cosine > _GIMBAL_LOCK
    first = np.where(free, np.arctan2(-m[1, 2], m[2, 2]), np.arctan2(m[2, 1], m[1, 1]))
    third = np.where(free, np.arctan2(-m[0, 1], m[0, 0]), 0.0)
    return np.stack([first, np.arctan2(m[0, 2], cosine), third], axis=-1)


_FORMS: Final[Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "axis_angle": to_axis_angle,
    "quaternion_wxyz": to_quaternion_wxyz,
    "quaternion_xyzw": lambda rotation: np.roll(to_quaternion_wxyz(rotation), -1, axis=-1),
    "euler_xyz": _euler_xyz,
    "rotation_6d": lambda rotation: rotation[..., :2, :].reshape(*rotation.shape[:-2], 6),
    "matrix": lambda rotation: rotation.reshape(*rotation.shape[:-2], 9),
}
