"""Where the frames are in which a policy speaks of end effectors: a robot's base, and its cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import BASE
from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.robot_model import frame_index
from unichunk.kinematics.transforms import pose_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from unichunk.embodiments.adapter_poses import EndEffectorPoses
    from unichunk.embodiments.spec import Camera, EmbodimentSpec

_SHORTEST: Final = 1e-9


class PolicyFrames:
    """Poses in the base of the frames that actions are given in.

    Args:
        spec: The robot, with its cameras.
        poses: Its kinematics.
        frames: Which frames: cameras, the base among them or not.

    Raises:
        SpecError: Where a camera is mounted on a frame that the model does not have, or looks along its own `up`.
    """

    def __init__(self, spec: EmbodimentSpec, poses: EndEffectorPoses, frames: Iterable[str]) -> None:
        self._poses = poses
        self._cameras: dict[str, tuple[int | None, NDArray[np.float64]]] = {}
        for name in sorted(set(frames) - {BASE}):
            camera = spec.cameras[name]
            mount = None if camera.mount == BASE else _mount(spec, poses, name)
            self._cameras[name] = mount, pose_camera_in_mount(camera, name)

    def in_base(self, frame: str, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a frame is when the joints are so.

        Args:
            frame: One of the frames.
            joints: One joint row, shape (n,), [rad].

        Returns:
            Shape (4, 4), [m].
        """
        if frame == BASE:
            return np.eye(4)
        mount, pose = self._cameras[frame]
        if mount is None:
            return pose
        there: NDArray[np.float64] = self._poses.frame_pose(mount, joints) @ pose
        return there


def pose_camera_in_mount(camera: Camera, name: str) -> NDArray[np.float64]:
    """Pose of a camera (OpenCV: x right, y down, z into the scene) in what carries it, shape (4, 4), [m].

    Raises:
        SpecError: Where it looks along its own `up`.
    """
    forward = np.subtract(camera.look_at, camera.position)
    right = np.cross(forward, camera.up)
    if min(np.linalg.norm(forward), np.linalg.norm(right)) < _SHORTEST:
        raise SpecError(
            f"embodiment.cameras.{name}.up: expected a direction beside the line from position to look_at, got "
            f"{list(camera.up)}"
        )
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    return pose_from(np.stack([right, np.cross(forward, right), forward], axis=1), np.array(camera.position))


def _mount(spec: EmbodimentSpec, poses: EndEffectorPoses, camera: str) -> int:
    try:
        return frame_index(poses.model, spec.cameras[camera].mount)
    except UnknownModel as error:
        raise SpecError(f"embodiment.cameras.{camera}.mount: {error}") from None
