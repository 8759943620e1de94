"""Where the frames are in which a policy speaks of end effectors: a robot's base, and its cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.adapter_keys import REMEDY, FramePart, JointPart
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import BASE
from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.robot_model import frame_index, joint_names
from unichunk.kinematics.transforms import pose_from
from unichunk.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.adapter_keys import BoundKey
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


def check_poses_stand(spec: EmbodimentSpec, poses: EndEffectorPoses, action: Sequence[BoundKey], origin: str) -> None:
    """Check that no action says where to be in the picture of a camera that the policy's own actions move.

    Committed rows are meant from where the camera was for an earlier picture, the rows after them from where it is
    when they are predicted: the end effectors would jump by what it moved meanwhile. (Displacements only turn with it.)

    Args:
        spec: The robot.
        poses: Its kinematics.
        action: The policy's actions.
        origin: What to call the bundle in messages.

    Raises:
        BundleError: One does.
    """
    moved = {joint: key.name for key in action for joint in _moved(spec, key)}
    for key in action:
        for part in key.parts:
            if not isinstance(part, FramePart) or not part.absolute or part.frame == BASE:
                continue
            camera = spec.cameras[part.frame]
            carriers = [] if camera.mount == BASE else _carriers(spec, poses, part.frame)
            for joint in carriers:
                if joint in moved:
                    raise BundleError(
                        f"{origin}: {key.name} are poses in the picture of {part.frame!r}, which {joint} of "
                        f"{spec.name} carries and {moved[joint]} moves; expected a camera that no action moves, or "
                        f"poses in the base; {REMEDY}"
                    )


def _moved(spec: EmbodimentSpec, key: BoundKey) -> Iterable[str]:
    """Joints that a key's values move."""
    for part in key.parts:
        if isinstance(part, FramePart):
            groups: tuple[str, ...] = spec.end_effectors[part.side].groups
        else:
            groups = (part.group,) if isinstance(part, JointPart) else part.groups
        for group in groups:
            yield from spec.groups[group].joint_names


def _carriers(spec: EmbodimentSpec, poses: EndEffectorPoses, camera: str) -> list[str]:
    """Joints of the model between the base and a camera."""
    model, names = poses.model, joint_names(poses.model)
    supports = model.supports[model.frames[_mount(spec, poses, camera)].parentJoint]
    # A joint that mimics another counts as that one.
    return [names[model.joints[joint].idx_v] for joint in supports if joint]


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
