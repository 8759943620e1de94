"""Where a camera is on a robot: the extrinsic calibration, from a JSON file.

    {
      "camera": "head",
      "mounted_on": "torso_link",
      "convention": "opencv",
      "position": [0.06, 0.0, 0.45],
      "quaternion_wxyz": [0.5, -0.5, 0.5, -0.5]
    }

`mounted_on` is a frame of the robot's model that the camera is fixed to: the base, or a link that moves. `position`
[m] and the rotation say where the camera's frame is in that frame; the rotation comes as `quaternion_wxyz` or as
`rotation`, three rows of a matrix. `convention` says how the axes of the camera's frame lie in the picture.

Files are refused where they are wrong. What the camera sees never is: what is not finite comes out not finite, and only
a wrong shape raises (`WrongShape`).
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from unichunk.kinematics.displacement import displacement_in
from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.rotation import from_quaternion_wxyz, is_rotation, nearest_rotation, to_quaternion_wxyz
from unichunk.kinematics.shapes import common_leading, float_array
from unichunk.kinematics.transforms import is_pose, pose_from, transform_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_Convention = Literal["opencv", "opengl", "ros_body"]
_Vector = tuple[float, float, float]
_Name = Annotated[str, Meta(min_length=1)]

ROTATION_OPENCV_IN: Final[dict[_Convention, NDArray[np.float64]]] = {
    "opencv": np.eye(3),
    "opengl": np.diag([1.0, -1.0, -1.0]),
    "ros_body": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}
"""Axes of OpenCV's camera frame (x right, y down, z into the scene) in the frame of each convention: OpenGL's and
MuJoCo's (x right, y up, z out of the scene), and that of a ROS body or camera link (x into the scene, y left, z up;
REP 103)."""

_TOLERANCE: Final = 1e-3
"""How far a rotation in a file may be from one: room for numbers written with four digits."""

_FARTHEST: Final = 10.0
"""No camera on a robot is farther than this from what it is mounted on, [m]; millimetres taken for metres are."""


class ExtrinsicsError(KinematicsError, ValueError):
    """An extrinsic calibration that cannot be read, used or written; the message names the file and the field."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    camera: _Name
    mounted_on: _Name
    convention: _Convention
    position: _Vector
    quaternion_wxyz: tuple[float, float, float, float] | None = None
    rotation: tuple[_Vector, _Vector, _Vector] | None = None


@dataclass(frozen=True, eq=False)
class CameraExtrinsics:
    """Where a camera is on a robot.

    "Camera" in names is OpenCV's frame (x right, y down, z into the scene), whatever the file's convention: the frame
    that vision policies predict in.

    Attributes:
        camera: The camera's name.
        mounted_on: Frame of the robot's model that the camera is fixed to.
        pose_camera_in_mount: Shape (4, 4), [m].
    """

    camera: str
    mounted_on: str
    pose_camera_in_mount: NDArray[np.float64]

    @classmethod
    def load(cls, path: Path | str) -> CameraExtrinsics:
        """Read and check a calibration file.

        Raises:
            ExtrinsicsError: With the file, the field, its value and what was expected.
        """
        try:
            file = msgspec.json.decode(Path(path).read_bytes(), type=_File)
        except OSError as error:
            raise ExtrinsicsError(f"extrinsics {path}: cannot be read: {error.strerror or error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ExtrinsicsError(f"extrinsics {path}: {str(error).replace('`$', '`extrinsics')}") from error
        try:
            return cls(file.camera, file.mounted_on, _pose_opencv_in_mount(file))
        except ExtrinsicsError as error:
            raise ExtrinsicsError(f"extrinsics {path}: {error}") from None

    def save(self, path: Path | str) -> None:
        """Write the calibration to a file, in OpenCV's convention; whoever reads it sees the old file or the new one.

        Raises:
            ExtrinsicsError: Where the file cannot be written, or would not be read again. What was there before is
                there still.
        """
        pose = self.pose_camera_in_mount
        if np.shape(pose) != (4, 4) or not is_pose(pose, _TOLERANCE):
            raise ExtrinsicsError(f"extrinsics {path}: not written: expected a pose, got {np.asarray(pose).tolist()}")
        file = _File(
            camera=self.camera,
            mounted_on=self.mounted_on,
            convention="opencv",
            position=tuple(pose[:3, 3].tolist()),
            quaternion_wxyz=tuple(to_quaternion_wxyz(pose[:3, :3]).tolist()),
        )
        try:
            _replace(Path(path), msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
        except OSError as error:
            raise ExtrinsicsError(f"extrinsics {path}: cannot be written: {error.strerror or error}") from error

    @np.errstate(invalid="ignore", over="ignore")
    def pose_camera_in_base(self, pose_mount_in_base: ArrayLike) -> NDArray[np.float64]:
        """Where the camera is.

        Args:
            pose_mount_in_base: Where the frame `mounted_on` is, from forward kinematics at the time of the picture,
                shape (..., 4, 4); the identity where that frame is the base.

        Returns:
            Shape (..., 4, 4).
        """
        return float_array(pose_mount_in_base, "pose_mount_in_base", 4, 4) @ self.pose_camera_in_mount

    def points_in_base(self, points_in_camera: ArrayLike, pose_mount_in_base: ArrayLike) -> NDArray[np.float64]:
        """Points that the camera sees; leading axes broadcast.

        Args:
            points_in_camera: Shape (..., 3), [m].
            pose_mount_in_base: Shape (..., 4, 4).

        Returns:
            Shape (..., 3), [m].
        """
        return transform_points(self.pose_camera_in_base(pose_mount_in_base), points_in_camera)

    @np.errstate(invalid="ignore", over="ignore")
    def poses_in_base(self, poses_in_camera: ArrayLike, pose_mount_in_base: ArrayLike) -> NDArray[np.float64]:
        """Poses of what the camera sees; leading axes broadcast.

        Args:
            poses_in_camera: Shape (..., 4, 4).
            pose_mount_in_base: Shape (..., 4, 4).

        Returns:
            Shape (..., 4, 4).
        """
        pose_camera_in_base = self.pose_camera_in_base(pose_mount_in_base)
        poses = float_array(poses_in_camera, "poses_in_camera", 4, 4)
        common_leading(poses_in_camera=poses.shape[:-2], pose_mount_in_base=pose_camera_in_base.shape[:-2])
        return pose_camera_in_base @ poses

    def displacements_in_base(
        self, displacements_in_camera: ArrayLike, pose_mount_in_base: ArrayLike
    ) -> NDArray[np.float64]:
        """Displacements along the camera's axes, along the base's (see `displacement_in`); leading axes broadcast.

        Args:
            displacements_in_camera: Shape (..., 6), [m] and [rad].
            pose_mount_in_base: Where the mount was when the camera took the picture, shape (..., 4, 4).

        Returns:
            Shape (..., 6), [m] and [rad].
        """
        rotation_camera_in_base = self.pose_camera_in_base(pose_mount_in_base)[..., :3, :3]
        return displacement_in(rotation_camera_in_base, displacements_in_camera)


def _pose_opencv_in_mount(file: _File) -> NDArray[np.float64]:
    distance = math.hypot(*file.position)
    if not distance <= _FARTHEST:
        raise ExtrinsicsError(
            f"position {list(file.position)}: {distance:g} m from {file.mounted_on}, "
            f"expected at most {_FARTHEST:g} m: is it in millimetres?"
        )
    return pose_from(_rotation(file) @ ROTATION_OPENCV_IN[file.convention], file.position)


def _rotation(file: _File) -> NDArray[np.float64]:
    """The rotation that the file gives, in either form."""
    if (file.quaternion_wxyz is None) == (file.rotation is None):
        found = "neither" if file.rotation is None else "both"
        raise ExtrinsicsError(f"expected either quaternion_wxyz or rotation, got {found}: keep exactly one")
    if file.quaternion_wxyz is not None:
        length = math.hypot(*file.quaternion_wxyz)
        if not abs(length - 1) <= _TOLERANCE:
            raise ExtrinsicsError(
                f"quaternion_wxyz {list(file.quaternion_wxyz)}: expected length 1 (to {_TOLERANCE:g}), got {length:g}"
            )
        return from_quaternion_wxyz(file.quaternion_wxyz)
    rotation = np.array(file.rotation)
    if is_rotation(rotation, _TOLERANCE):
        return nearest_rotation(rotation)
    problem = (
        f"determinant {np.linalg.det(rotation):g}, it mirrors: are two rows or columns exchanged, or a sign lost?"
        if is_rotation(-rotation, _TOLERANCE)
        else f"rows that are not orthonormal (to {_TOLERANCE:g})"
    )
    raise ExtrinsicsError(f"rotation {rotation.tolist()}: expected a rotation matrix, got {problem}")


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
