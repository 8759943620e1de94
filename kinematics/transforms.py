"""Poses: rigid transforms (..., 4, 4), batched over leading axes, in metres.

`pose_b_in_a` is where frame b is, seen from frame a; it turns coordinates in b into coordinates in a. Poses compose
with `@`, equal frames meeting: `pose_c_in_a = pose_b_in_a @ pose_c_in_b`. What is not finite comes out not finite; only
a wrong shape raises (`WrongShape`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unichunk.kinematics.rotation import is_rotation, rotation_angle
from unichunk.kinematics.shapes import common_leading, float_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class PoseDistance(NamedTuple):
    """How far poses are from each other.

    Attributes:
        position: Between the origins, shape (...), [m].
        rotation: Angle of the turn from one to the other, shape (...), in [0, pi], [rad].
    """

    position: NDArray[np.float64]
    rotation: NDArray[np.float64]


def pose_from(rotation_b_in_a: ArrayLike, position_b_in_a: ArrayLike) -> NDArray[np.float64]:
    """Poses `pose_b_in_a` from their two parts, whose leading axes broadcast.

    Args:
        rotation_b_in_a: Shape (..., 3, 3).
        position_b_in_a: Origin of b in a, shape (..., 3), [m].

    Returns:
        Shape (..., 4, 4).
    """
    rotation = float_array(rotation_b_in_a, "rotation_b_in_a", 3, 3)
    position = float_array(position_b_in_a, "position_b_in_a", 3)
    leading = common_leading(rotation_b_in_a=rotation.shape[:-2], position_b_in_a=position.shape[:-1])
    pose = np.zeros((*leading, 4, 4))
    pose[..., :3, :3], pose[..., :3, 3], pose[..., 3, 3] = rotation, position, 1.0
    return pose


def inverse(pose_b_in_a: ArrayLike) -> NDArray[np.float64]:
    """Poses `pose_a_in_b`, shape (..., 4, 4)."""
    pose = float_array(pose_b_in_a, "pose_b_in_a", 4, 4)
    rotation_a_in_b = np.swapaxes(pose[..., :3, :3], -1, -2)
    return pose_from(rotation_a_in_b, -_turned(rotation_a_in_b, pose[..., :3, 3]))


@np.errstate(invalid="ignore", over="ignore")
def pose_between(pose_a_in_world: ArrayLike, pose_b_in_world: ArrayLike) -> NDArray[np.float64]:
    """Poses `pose_b_in_a` of frames that are both known in a third one; leading axes broadcast.

    Args:
        pose_a_in_world: Shape (..., 4, 4).
        pose_b_in_world: Shape (..., 4, 4).

    Returns:
        Shape (..., 4, 4).
    """
    pose_a_in_world = float_array(pose_a_in_world, "pose_a_in_world", 4, 4)
    pose_b_in_world = float_array(pose_b_in_world, "pose_b_in_world", 4, 4)
    common_leading(pose_a_in_world=pose_a_in_world.shape[:-2], pose_b_in_world=pose_b_in_world.shape[:-2])
    return inverse(pose_a_in_world) @ pose_b_in_world


@np.errstate(invalid="ignore", over="ignore")
def transform_points(pose_b_in_a: ArrayLike, points_in_b: ArrayLike) -> NDArray[np.float64]:
    """Points in a, of points in b; leading axes broadcast, so one pose moves many points.

    Args:
        pose_b_in_a: Shape (..., 4, 4).
        points_in_b: Shape (..., 3), [m].

    Returns:
        Shape (..., 3), [m].
    """
    pose = float_array(pose_b_in_a, "pose_b_in_a", 4, 4)
    points = float_array(points_in_b, "points_in_b", 3)
    common_leading(pose_b_in_a=pose.shape[:-2], points_in_b=points.shape[:-1])
    return _turned(pose[..., :3, :3], points) + pose[..., :3, 3]


@np.errstate(invalid="ignore", over="ignore")
def pose_distance(pose_a: ArrayLike, pose_b: ArrayLike) -> PoseDistance:
    """How far poses in the same frame are from each other; leading axes broadcast.

    Args:
        pose_a: Shape (..., 4, 4).
        pose_b: Shape (..., 4, 4).
    """
    between = pose_between(pose_a, pose_b)
    return PoseDistance(np.linalg.norm(between[..., :3, 3], axis=-1), rotation_angle(between[..., :3, :3]))


def is_pose(pose: ArrayLike, tolerance: float = 1e-6) -> NDArray[np.bool_]:
    """Whether matrices are finite, have a rotation in them and 0 0 0 1 as their last row.

    Args:
        pose: Shape (..., 4, 4).
        tolerance: Of the rotation (see `is_rotation`) and of the last row.

    Returns:
        Shape (...).
    """
    pose = float_array(pose, "pose", 4, 4)
    last = (np.abs(pose[..., 3, :] - np.array([0.0, 0.0, 0.0, 1.0])) <= tolerance).all(axis=-1)
    finite = np.isfinite(pose[..., :3, 3]).all(axis=-1)
    result: NDArray[np.bool_] = is_rotation(pose[..., :3, :3], tolerance) & last & finite
    return result


@np.errstate(invalid="ignore", over="ignore")
def _turned(rotation: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    turned: NDArray[np.float64] = (rotation @ vectors[..., None])[..., 0]
    return turned
