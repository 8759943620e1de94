"""Flexion, abduction and opposition of the human hand's joints, out of MANO's rotations and back.

The angles of a joint are the Euler angles of its rotation about the fixed axes x, y, z of the right hand's wrist frame,
in this order: R = Rz Ry Rx. It is the convention of VITRA's hand states and actions (`as_euler("xyz")` in
vitra/datasets/human_dataset.py of github.com/microsoft/VITRA): the array of this module, flattened, is its 45 numbers
per hand. VITRA gives both hands with the right hand's model, so its left hand has side `right` here.

In the fingers this is the clinical order: flexion (z) first, then abduction (y) about the axis that flexion has turned,
then twist (x). A rotation has two such triples but where y is a quarter turn; the one with the smaller sum of squares
is taken, so that a pure flexion of the thumb (y) is followed beyond a quarter turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from unichunk.kinematics.retarget.mano import MANO_JOINTS, mirrored
from unichunk.kinematics.rotation import from_axis_angle, from_rpy, to_axis_angle
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from unichunk.kinematics.description import Side

Motion: TypeAlias = Literal["flexion", "abduction", "opposition"]

_GIMBAL_LOCK: Final = 1e-6
"""Where the cosine of y is smaller than this, only the sum or difference of x and z is known."""

_FINGER_COMPONENTS: Final[dict[str, tuple[int, float]]] = {"flexion": (2, 1.0), "abduction": (1, 1.0)}
_THUMB_COMPONENTS: Final[dict[str, tuple[int, float]]] = {"flexion": (1, -1.0), "opposition": (2, 1.0)}


def motions(joint: str) -> dict[str, tuple[int, float]]:
    """What a joint of the hand can do: which component of its angles it is, and the sign that makes it positive.

    Fingers: flexion bends towards the palm (+z), abduction moves towards the thumb (+y). Thumb: flexion moves along the
    palm towards the index finger (-y), opposition moves out of the plane of the palm, to its inner side (+z).

    Args:
        joint: A name of `MANO_JOINTS`.
    """
    return _THUMB_COMPONENTS if joint.startswith("thumb") else _FINGER_COMPONENTS


def joint_angles(rotations: ArrayLike, side: Side) -> NDArray[np.float64]:
    """Angles x, y, z of every joint, as the right hand would have them.

    Args:
        rotations: Axis-angle vectors, shape (..., 15, 3), [rad], in the order of `MANO_JOINTS`, of MANO's hand of this
            side (slots 110-155 of the unified space are the right hand, 155-200 the left one).
        side: Which hand it is.

    Returns:
        Shape (..., 15, 3), in [-pi, pi], [rad]; NaN for joints whose rotation is not finite.
    """
    rotations = float_array(rotations, "rotations", len(MANO_JOINTS), 3)
    return _to_fixed_xyz(from_axis_angle(rotations if side == "right" else mirrored(rotations)))


def joint_rotations(angles: ArrayLike, side: Side) -> NDArray[np.float64]:
    """Rotations of every joint; the inverse of `joint_angles`.

    Args:
        angles: Shape (..., 15, 3), [rad].
        side: Which hand it is.

    Returns:
        Axis-angle vectors, shape (..., 15, 3), [rad].
    """
    rotations = to_axis_angle(from_rpy(float_array(angles, "angles", len(MANO_JOINTS), 3)))
    return rotations if side == "right" else mirrored(rotations)


def _to_fixed_xyz(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of Rz Ry Rx, shape (..., 3, 3), the angles x, y, z with the smaller sum of squares, shape (..., 3)."""
    cosine = np.hypot(rotation[..., 0, 0], rotation[..., 1, 0])
    locked = cosine < _GIMBAL_LOCK
    x = np.where(locked, 0.0, np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2]))
    y = np.arctan2(-rotation[..., 2, 0], cosine)
    z = np.where(
        locked,
        np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1]),
        np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0]),
    )
    near = np.stack([x, y, z], axis=-1)
    half_turn = np.copysign(np.pi, near)
    far = near - half_turn
    far[..., 1] *= -1.0
    closer = (far**2).sum(axis=-1) < (near**2).sum(axis=-1)
    return np.where((closer & ~locked)[..., None], far, near)
