"""Cameras in the simulated world: beside the robot, or carried by one of its links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import BASE
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.kinematics.names import instead_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import Camera


def add_cameras(scene: Any, cameras: Mapping[str, Camera]) -> None:
    """Add the cameras of a spec to a `mujoco.MjSpec` that has the robot.

    Raises:
        SpecError: For a camera whose mount is no link of the model, or whose `up` does not say which way is up.
    """
    for name, camera in cameras.items():
        links = [body.name for body in scene.bodies[1:]]
        if camera.mount == BASE:
            mount = scene.worldbody
        elif camera.mount in links:
            mount = scene.body(camera.mount)
        else:
            raise SpecError(
                f"embodiment.cameras.{name}.mount: the model has no link {camera.mount!r}: "
                f"{instead_of(camera.mount, [BASE, *links])}"
            )
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, _axes(name, camera).reshape(9))
        element = mount.add_camera(name=name, pos=camera.position, quat=quaternion, fovy=camera.fovy)
        element.resolution = [camera.width, camera.height]


def _axes(name: str, camera: Camera) -> NDArray[np.float64]:
    """Rotation of the camera in its mount, shape (3, 3): x to the right, y up, z backwards."""
    forward = np.subtract(camera.look_at, camera.position)
    right = np.cross(forward, camera.up)
    if np.linalg.norm(right) < 1e-6 * np.linalg.norm(forward) * np.linalg.norm(camera.up) or not forward.any():
        raise SpecError(
            f"embodiment.cameras.{name}.up: expected a direction beside the line from position to look_at, "
            f"got {list(camera.up)}"
        )
    axes = np.stack([right, np.cross(right, forward), -forward], axis=1)
    rotation: NDArray[np.float64] = axes / np.linalg.norm(axes, axis=0)
    return rotation
