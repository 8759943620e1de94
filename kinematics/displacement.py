"""Displacements of poses in a fixed frame: six numbers, the translation [m] and an axis-angle vector [rad].

A displacement moves a pose by adding its translation and by turning it from the left, both along the axes of the fixed
frame ("world"), each without regard to the other: p' = p + d, R' = exp(v) R. It is not a twist, and the origin of the
turn is the pose's own. This is what the end-effector slots of the unified space hold.

Rows of a chunk come in two forms: each relative to the row before it (`poses_from_steps`), or all relative to one pose
(`poses_from_anchor`). What is known of the policies:

- Being-H0.5: its published configurations take their end-effector actions from LIBERO and RoboCasa, where each is
  relative to the pose one control step earlier: steps. Nothing published says otherwise for other robots.
- VITRA: steps in the camera frame (`recon_traj` of its published code, `rel_mode="step"` by default), with rotations as
  Euler angles: `displacement_from_rpy`, then `displacement_in` the robot's base.
- Being-H0 and METIS predict poses, no displacements.

All functions are batched; what is not finite comes out not finite, and only a wrong shape raises (`WrongShape`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.rotation import from_axis_angle, from_rpy, to_axis_angle
from unichunk.kinematics.shapes import common_leading, float_array
from unichunk.kinematics.transforms import pose_from

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@np.errstate(invalid="ignore", over="ignore")
def apply_displacement(pose_in_world: ArrayLike, displacement_in_world: ArrayLike) -> NDArray[np.float64]:
    """The displaced poses; leading axes broadcast.

    Args:
        pose_in_world: Shape (..., 4, 4).
        displacement_in_world: Shape (..., 6), [m] and [rad].

    Returns:
        Poses in world, shape (..., 4, 4).
    """
    pose = float_array(pose_in_world, "pose_in_world", 4, 4)
    displacement = float_array(displacement_in_world, "displacement_in_world", 6)
    common_leading(pose_in_world=pose.shape[:-2], displacement_in_world=displacement.shape[:-1])
    return pose_from(
        from_axis_angle(displacement[..., 3:]) @ pose[..., :3, :3], pose[..., :3, 3] + displacement[..., :3]
    )


@np.errstate(invalid="ignore", over="ignore")
def displacement_between(pose_from_in_world: ArrayLike, pose_to_in_world: ArrayLike) -> NDArray[np.float64]:
    """The displacements that move the first poses to the second: the inverse of `apply_displacement`.

    Args:
        pose_from_in_world: Shape (..., 4, 4).
        pose_to_in_world: Shape (..., 4, 4).

    Returns:
        Shape (..., 6), [m] and [rad], with angles in [0, pi] (see `to_axis_angle` for the sign at pi).
    """
    start = float_array(pose_from_in_world, "pose_from_in_world", 4, 4)
    end = float_array(pose_to_in_world, "pose_to_in_world", 4, 4)
    common_leading(pose_from_in_world=start.shape[:-2], pose_to_in_world=end.shape[:-2])
    turn = end[..., :3, :3] @ np.swapaxes(start[..., :3, :3], -1, -2)
    return np.concatenate([end[..., :3, 3] - start[..., :3, 3], to_axis_angle(turn)], axis=-1)


@np.errstate(invalid="ignore", over="ignore")
def poses_from_steps(pose_start_in_world: ArrayLike, steps_in_world: ArrayLike) -> NDArray[np.float64]:
    """Poses of a chunk whose rows are relative to the row before: row 0 to the start, row i to row i - 1.

    Args:
        pose_start_in_world: Shape (..., 4, 4).
        steps_in_world: Displacements, shape (..., T, 6), [m] and [rad].

    Returns:
        Poses in world, shape (..., T, 4, 4).
    """
    start = float_array(pose_start_in_world, "pose_start_in_world", 4, 4)
    steps = float_array(steps_in_world, "steps_in_world", None, 6)
    leading = common_leading(pose_start_in_world=start.shape[:-2], steps_in_world=steps.shape[:-2])
    turns = from_axis_angle(steps[..., 3:])
    rotations = np.empty((*leading, steps.shape[-2], 3, 3))
    rotation = start[..., :3, :3]
    for row in range(steps.shape[-2]):
        rotation = turns[..., row, :, :] @ rotation
        rotations[..., row, :, :] = rotation
    return pose_from(rotations, start[..., None, :3, 3] + np.cumsum(steps[..., :3], axis=-2))


def steps_from_poses(pose_start_in_world: ArrayLike, poses_in_world: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `poses_from_steps`.

    Args:
        pose_start_in_world: Shape (..., 4, 4).
        poses_in_world: Shape (..., T, 4, 4).

    Returns:
        Displacements, shape (..., T, 6), [m] and [rad].
    """
    start = float_array(pose_start_in_world, "pose_start_in_world", 4, 4)
    poses = float_array(poses_in_world, "poses_in_world", None, 4, 4)
    leading = common_leading(pose_start_in_world=start.shape[:-2], poses_in_world=poses.shape[:-3])
    first = np.broadcast_to(start, (*leading, 4, 4))[..., None, :, :]
    poses = np.broadcast_to(poses, (*leading, *poses.shape[-3:]))
    return displacement_between(np.concatenate([first, poses], axis=-3)[..., :-1, :, :], poses)


def poses_from_anchor(pose_anchor_in_world: ArrayLike, displacements_in_world: ArrayLike) -> NDArray[np.float64]:
    """Poses of a chunk whose rows are all relative to one pose.

    Args:
        pose_anchor_in_world: Shape (..., 4, 4).
        displacements_in_world: Shape (..., T, 6), [m] and [rad].

    Returns:
        Poses in world, shape (..., T, 4, 4).
    """
    anchor = float_array(pose_anchor_in_world, "pose_anchor_in_world", 4, 4)
    displacements = float_array(displacements_in_world, "displacements_in_world", None, 6)
    return apply_displacement(anchor[..., None, :, :], displacements)


def displacements_from_anchor(pose_anchor_in_world: ArrayLike, poses_in_world: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `poses_from_anchor`.

    Args:
        pose_anchor_in_world: Shape (..., 4, 4).
        poses_in_world: Shape (..., T, 4, 4).

    Returns:
        Displacements, shape (..., T, 6), [m] and [rad].
    """
    anchor = float_array(pose_anchor_in_world, "pose_anchor_in_world", 4, 4)
    poses = float_array(poses_in_world, "poses_in_world", None, 4, 4)
    return displacement_between(anchor[..., None, :, :], poses)


@np.errstate(invalid="ignore", over="ignore")
def displacement_in(rotation_b_in_a: ArrayLike, displacement_in_b: ArrayLike) -> NDArray[np.float64]:
    """Displacements along the axes of a, of displacements along the axes of b; leading axes broadcast.

    Translation and axis both turn; where the origins are does not matter, since a displacement turns a pose about its
    own origin. So, with the result applied by `apply_displacement`:

    - from camera to base: `displacement_in(rotation_camera_in_base, displacement_in_camera)`;
    - from tool to world, for displacements along the tool's own axes, pose' = pose @ (exp(v), d):
      `displacement_in(rotation_tool_in_world, displacement_in_tool)`, with the rotation of the very pose that is moved.

    Args:
        rotation_b_in_a: Shape (..., 3, 3).
        displacement_in_b: Shape (..., 6), [m] and [rad].

    Returns:
        Shape (..., 6), [m] and [rad].
    """
    rotation = float_array(rotation_b_in_a, "rotation_b_in_a", 3, 3)
    displacement = float_array(displacement_in_b, "displacement_in_b", 6)
    leading = common_leading(rotation_b_in_a=rotation.shape[:-2], displacement_in_b=displacement.shape[:-1])
    halves = displacement.reshape(*displacement.shape[:-1], 2, 3)
    return (halves @ np.swapaxes(rotation, -1, -2)).reshape(*leading, 6)


def displacement_from_rpy(translation_rpy: ArrayLike) -> NDArray[np.float64]:
    """Displacements whose rotation comes as roll, pitch, yaw (see `from_rpy`), as VITRA's do.

    Args:
        translation_rpy: Translation [m], then angles [rad], shape (..., 6).

    Returns:
        Shape (..., 6), [m] and axis-angle [rad].
    """
    values = float_array(translation_rpy, "translation_rpy", 6)
    return np.concatenate([values[..., :3], to_axis_angle(from_rpy(values[..., 3:]))], axis=-1)
