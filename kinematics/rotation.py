"""Rotation matrices, and the forms that models, policies and files give rotations in.

A matrix `rotation_b_in_a` turns coordinates in b into coordinates in a: its columns are the axes of b, written in a.
All functions but `about_axis` are batched over leading axes. Rows that are not finite, or no rotation at all, come out
as NaN: data of a policy never raises here. Only a wrong shape does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_HALF_TURN: Final = 1e-15
"""A unit quaternion whose real part is smaller than this is a half turn, as far as a matrix can tell."""

_NO_COMPONENT: Final = 1e-9
"""A component of a unit vector that is smaller than this does not decide the vector's sign."""

_NO_DIRECTION: Final = 1e-6
"""A vector shorter than this, or nearly parallel to another to this degree, has no direction worth using."""


@np.errstate(invalid="ignore", over="ignore")
def from_rpy(rpy: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices of roll, pitch, yaw about the fixed axes x, y, z in this order: R = Rz(yaw) Ry(pitch) Rx(roll).

    URDF's convention, and that of the Euler angles in VITRA's actions (scipy's `from_euler("xyz")`).

    Args:
        rpy: Angles, shape (..., 3), [rad].

    Returns:
        Shape (..., 3, 3).
    """
    rpy = float_array(rpy, "rpy", 3)
    (cr, cp, cy), (sr, sp, sy) = np.moveaxis(np.cos(rpy), -1, 0), np.moveaxis(np.sin(rpy), -1, 0)
    return _matrix(
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )


def about_axis(axis: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Homogeneous rotations about one axis (Rodrigues' formula).

    Args:
        axis: Unit vector, shape (3,).
        angle: Angles, shape (...), [rad].

    Returns:
        Shape (..., 4, 4).
    """
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, versine = np.sin(angle)[..., None, None], 1.0 - np.cos(angle)[..., None, None]
    transform = np.broadcast_to(np.eye(4), (*np.shape(angle), 4, 4)).copy()
    transform[..., :3, :3] += sine * cross + versine * (cross @ cross)
    return transform


@np.errstate(invalid="ignore", over="ignore")
def from_axis_angle(axis_angle: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices of axis-angle vectors (the exponential map), by Rodrigues' formula.

    Args:
        axis_angle: Angle times unit axis, shape (..., 3), [rad]; any length, 0 is the identity.

    Returns:
        Shape (..., 3, 3).
    """
    axis_angle = float_array(axis_angle, "axis_angle", 3)
    x, y, z = np.moveaxis(axis_angle, -1, 0)
    angle = np.sqrt(x * x + y * y + z * z)
    # sin(a) / a and (1 - cos a) / a^2 without a division by zero: numpy's sinc(u) is sin(pi u) / (pi u).
    sine = np.sinc(angle / np.pi)
    versine = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return _matrix(
        (1 - versine * (y * y + z * z), versine * x * y - sine * z, versine * x * z + sine * y),
        (versine * x * y + sine * z, 1 - versine * (x * x + z * z), versine * y * z - sine * x),
        (versine * x * z - sine * y, versine * y * z + sine * x, 1 - versine * (x * x + y * y)),
    )


@np.errstate(invalid="ignore", over="ignore")
def to_axis_angle(rotation: ArrayLike) -> NDArray[np.float64]:
    """Axis-angle vectors of rotation matrices (the logarithm), the shortest ones: angles in [0, pi].

    Two turns close to each other have vectors close to each other, but for angles about pi: there the vector jumps from
    v to v - 2 pi v / |v|. At pi itself v and -v are the same rotation, and the first component that is not zero is
    positive (the convention of the policies' preprocessing).

    Args:
        rotation: Shape (..., 3, 3).

    Returns:
        Shape (..., 3), [rad].
    """
    quaternion = to_quaternion_wxyz(rotation)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    sine = np.sqrt((imaginary * imaginary).sum(axis=-1, keepdims=True))
    # angle / sin(angle / 2), which is 2 at angle 0.
    ratio = np.divide(2 * np.arctan2(sine, real), sine, out=np.full_like(sine, 2.0), where=sine != 0)
    axis_angle: NDArray[np.float64] = imaginary * ratio
    return axis_angle


def rotation_angle(rotation: ArrayLike) -> NDArray[np.float64]:
    """Angles of rotation matrices, exact near 0 and near pi.

    Args:
        rotation: Shape (..., 3, 3).

    Returns:
        Shape (...), in [0, pi], [rad].
    """
    quaternion = to_quaternion_wxyz(rotation)
    imaginary = quaternion[..., 1:]
    angle: NDArray[np.float64] = 2 * np.arctan2(np.sqrt((imaginary * imaginary).sum(axis=-1)), quaternion[..., 0])
    return angle


def from_quaternion_wxyz(quaternion_wxyz: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices of quaternions.

    Args:
        quaternion_wxyz: Real part first, shape (..., 4), of any length but zero.

    Returns:
        Shape (..., 3, 3).
    """
    quaternion = float_array(quaternion_wxyz, "quaternion_wxyz", 4)
    w, x, y, z = np.moveaxis(_unit(quaternion, 0.0), -1, 0)
    return _matrix(
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


@np.errstate(invalid="ignore", over="ignore")
def to_quaternion_wxyz(rotation: ArrayLike) -> NDArray[np.float64]:
    """Unit quaternions of rotation matrices; of q and -q the one whose real part is positive.

    At a half turn, where the real part is zero, the first component that is not is positive.

    Args:
        rotation: Shape (..., 3, 3).

    Returns:
        Real part first, shape (..., 4).
    """
    m = float_array(rotation, "rotation", 3, 3)
    x, y, z = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    # Each row is the quaternion times four times one of its components; the largest is the most exact.
    rows = _matrix(
        (1 + x + y + z, a, b, c),
        (a, 1 + x - y - z, d, e),
        (b, d, 1 - x + y - z, f),
        (c, e, f, 1 - x - y + z),
    )
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    quaternion = _unit(np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :], 0.0)
    quaternion[..., 0] = np.where(np.abs(quaternion[..., 0]) < _HALF_TURN, 0.0, quaternion[..., 0])
    first = np.argmax(np.abs(quaternion) > np.array([0.0, *[_NO_COMPONENT] * 3]), axis=-1)
    sign = np.take_along_axis(quaternion, first[..., None], axis=-1)
    return np.where(sign < 0, -quaternion, quaternion)


def from_rows_6d(rows: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices of their first two rows, one after the other: r00 r01 r02 r10 r11 r12.

    The 6-d form of METIS's data (`quaternion_to_6d_tf` of its published code, whose comment says columns and whose code
    takes rows) and of Being-H's.

    Args:
        rows: Shape (..., 6). Made orthonormal by Gram and Schmidt, first row first; zero or parallel rows give NaN.

    Returns:
        Shape (..., 3, 3).
    """
    return _orthonormal(float_array(rows, "rows", 6))


def from_columns_6d(columns: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrices of their first two columns, one after the other: r00 r10 r20 r01 r11 r21.

    The 6-d form of Zhou et al. 2019, On the Continuity of Rotation Representations in Neural Networks.

    Args:
        columns: Shape (..., 6). Made orthonormal by Gram and Schmidt, first column first; zero or parallel columns
            give NaN.

    Returns:
        Shape (..., 3, 3).
    """
    return np.swapaxes(_orthonormal(float_array(columns, "columns", 6)), -1, -2)


@np.errstate(invalid="ignore", over="ignore")
def nearest_rotation(matrix: ArrayLike) -> NDArray[np.float64]:
    """The rotations that differ least from nearly orthonormal matrices (Frobenius norm; by singular values, Kabsch).

    Args:
        matrix: Shape (..., 3, 3). Far from any rotation the result is a rotation still, but means little.

    Returns:
        Shape (..., 3, 3), determinant 1.
    """
    matrix = float_array(matrix, "matrix", 3, 3)
    finite = np.isfinite(matrix).all(axis=(-1, -2), keepdims=True)
    # The decomposition raises on NaN, so those rows pass as the identity and are put back.
    left, _, right = np.linalg.svd(np.where(finite, matrix, np.eye(3)))
    left[..., :, 2] *= np.sign(np.linalg.det(left @ right))[..., None]
    return np.where(finite, left @ right, np.nan)


@np.errstate(invalid="ignore", over="ignore")
def is_rotation(matrix: ArrayLike, tolerance: float = 1e-6) -> NDArray[np.bool_]:
    """Whether matrices are finite, orthonormal and right-handed.

    Args:
        matrix: Shape (..., 3, 3).
        tolerance: Largest deviation of any entry of R R^T from the identity.

    Returns:
        Shape (...).
    """
    matrix = float_array(matrix, "matrix", 3, 3)
    off = np.abs(matrix @ np.swapaxes(matrix, -1, -2) - np.eye(3)).max(axis=(-1, -2))
    handed = np.linalg.det(matrix) > 0
    result: NDArray[np.bool_] = (off <= tolerance) & handed
    return result


@np.errstate(invalid="ignore", over="ignore")
def _orthonormal(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two vectors after each other (..., 6) to the three rows of a right-handed orthonormal matrix (..., 3, 3)."""
    first, second = _unit(vectors[..., :3], _NO_DIRECTION), _unit(vectors[..., 3:], _NO_DIRECTION)
    second = _unit(second - (first * second).sum(axis=-1, keepdims=True) * first, _NO_DIRECTION)
    return np.stack([first, second, np.cross(first, second)], axis=-2)


@np.errstate(invalid="ignore", over="ignore", divide="ignore")
def _unit(vectors: NDArray[np.float64], shortest: float) -> NDArray[np.float64]:
    """Vectors (..., n) divided by their lengths; NaN where they are not longer than `shortest`."""
    # By the largest component first, so that squares neither overflow nor vanish.
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    vectors = np.where(largest > shortest, vectors / largest, np.nan)
    unit: NDArray[np.float64] = vectors / np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    return unit


def _matrix(*rows: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
