"""Rotations in the forms robots give them, as axis-angle vectors.

Conventions, those of the published training code:

- quaternions: w x y z or x y z w, of any length but zero; q and -q are the same rotation;
- `euler_xyz`: angles about the body's own x, then its new y, then its new z axis, [rad]: R = Rx(a) Ry(b) Rz(c);
- `rotation_6d`: the first two rows of the rotation matrix, made orthonormal in this order;
- `matrix`: the nine numbers of the rotation matrix, row by row.

The axis-angle vector v = angle * axis, [rad], has an angle in [0, pi]; at pi, where v and -v are the same rotation, the
first component that is not zero is positive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import RotationInput

AXIS_ANGLE_WIDTH: Final = 3

_SMALLEST: Final = 1e-6
"""Shorter vectors than this have no direction worth using."""

_SQUARENESS: Final = 1e-2
"""How far the product of a rotation matrix and its transpose may be from the identity."""


def rotation_width(form: RotationInput) -> int:
    """Number of values in which a rotation comes."""
    return len(_IDENTITIES[form])


def no_rotation(form: RotationInput) -> NDArray[np.float64]:
    """The identity, shape (`rotation_width(form)`,)."""
    return np.array(_IDENTITIES[form], np.float64)


def axis_angle(values: NDArray[np.float64], form: RotationInput) -> NDArray[np.float64]:
    """Convert rotations to axis-angle vectors.

    Args:
        values: Rotations, shape (rows, `rotation_width(form)`).
        form: What the values are.

    Returns:
        Axis-angle vectors, shape (rows, 3), [rad]; axis-angle vectors pass as they are.

    Raises:
        ValueError: With what is wrong with values that are no rotation.
    """
    if form == "axis_angle":
        return values
    return _from_quaternion(_TO_QUATERNION[form](values))


def _from_quaternion(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quaternions w x y z, shape (rows, 4), to axis-angle vectors (rows, 3)."""
    # By the largest component first: nothing overflows, and lengths of 1e-200 and 1e200 are as good as 1.
    largest = np.abs(quaternion).max(axis=1, keepdims=True)
    if (largest == 0).any():
        raise ValueError("expected a quaternion that is not zero")
    quaternion = quaternion / largest
    quaternion = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
    quaternion = quaternion * _sign(quaternion)
    real, imaginary = quaternion[:, :1], quaternion[:, 1:]
    sine = np.linalg.norm(imaginary, axis=1, keepdims=True)
    # angle / sin(angle / 2), which is 2 at angle 0.
    ratio = np.divide(2 * np.arctan2(sine, real), sine, out=np.full_like(sine, 2.0), where=sine > 0)
    result: NDArray[np.float64] = imaginary * ratio
    return result


def _sign(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 or -1 for each row, shape (rows, 1), such that the first component that is not zero becomes positive."""
    first = np.argmax(quaternion != 0, axis=1)
    return np.sign(np.take_along_axis(quaternion, first[:, None], axis=1))


def _from_euler(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    cosine, sine = np.cos(angles / 2), np.sin(angles / 2)
    zero = np.zeros(len(angles))
    about = [np.insert(np.stack([cosine[:, i], zero, zero], axis=1), 1 + i, sine[:, i], axis=1) for i in range(3)]
    return _product(_product(about[0], about[1]), about[2])


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quaternion product of w x y z, shape (rows, 4)."""
    w, x, y, z = a.T
    s, p, q, r = b.T
    return np.stack(
        [
            w * s - x * p - y * q - z * r,
            w * p + x * s + y * r - z * q,
            w * q - x * r + y * s + z * p,
            w * r + x * q - y * p + z * s,
        ],
        axis=1,
    )


def _from_6d(values: NDArray[np.float64]) -> NDArray[np.float64]:
    first = _unit(values[:, :3])
    second = values[:, 3:] - (first * values[:, 3:]).sum(axis=1, keepdims=True) * first
    if (np.linalg.norm(second, axis=1) < _SMALLEST * np.linalg.norm(values[:, 3:], axis=1)).any():
        raise ValueError("expected two rows of a rotation matrix that are not parallel")
    second = _unit(second)
    return _from_rows(np.stack([first, second, np.cross(first, second)], axis=1))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (length < _SMALLEST).any():
        raise ValueError("expected rows of a rotation matrix that are not zero")
    # Divided by an infinite length, huge rows would be zero.
    if not np.isfinite(length).all():
        raise ValueError("expected rows of a rotation matrix of a length that can be computed")
    result: NDArray[np.float64] = vectors / length
    return result


def _from_matrix(values: NDArray[np.float64]) -> NDArray[np.float64]:
    matrices = values.reshape(-1, 3, 3)
    off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    if not (off < _SQUARENESS).all() or (np.linalg.det(matrices) < 0).any():
        raise ValueError("expected a rotation matrix: orthonormal, with determinant 1")
    return _from_rows(matrices)


def _from_rows(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices (rows, 3, 3) to quaternions w x y z, which may be of any length."""
    a, b, c = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    d, e, f = m[:, 1, 0] + m[:, 0, 1], m[:, 0, 2] + m[:, 2, 0], m[:, 2, 1] + m[:, 1, 2]
    x, y, z = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    # Each row is the quaternion times four times one of its components; the largest is the most exact.
    squares = np.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], axis=1)
    candidates = np.stack(
        [
            np.stack([squares[:, 0], a, b, c], axis=1),
            np.stack([a, squares[:, 1], d, e], axis=1),
            np.stack([b, d, squares[:, 2], f], axis=1),
            np.stack([c, e, f, squares[:, 3]], axis=1),
        ],
        axis=1,
    )
    best = np.argmax(squares, axis=1)
    result: NDArray[np.float64] = candidates[np.arange(len(m)), best]
    return result


_TO_QUATERNION: Final[Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "quaternion_wxyz": lambda values: values,
    "quaternion_xyzw": lambda values: np.roll(values, 1, axis=1),
    "euler_xyz": _from_euler,
    "rotation_6d": _from_6d,
    "matrix": _from_matrix,
}
_IDENTITIES: Final[Mapping[str, tuple[float, ...]]] = {
    "axis_angle": (0, 0, 0),
    "quaternion_wxyz": (1, 0, 0, 0),
    "quaternion_xyzw": (0, 0, 0, 1),
    "euler_xyz": (0, 0, 0),
    "rotation_6d": (1, 0, 0, 0, 1, 0),
    "matrix": (1, 0, 0, 0, 1, 0, 0, 0, 1),
}
