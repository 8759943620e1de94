"""The frames that follow: where they should be, and where joint positions put them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import spec_model
from unichunk.kinematics.robot_model import frame_index, joint_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.embodiments.twin_spec import FollowTask


class FollowFrames:
    """Forward kinematics of the hands in the follow task. Not thread-safe: it holds buffers.

    Args:
        spec: The robot; its twin has a task.

    Attributes:
        task: The task.
        model: The robot's model, its own copy.
        columns: Places of the spec's joints in the model's configuration, shape (n,).

    Raises:
        SpecError: Where there is no task.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        if spec.twin is None or spec.twin.task is None:
            raise SpecError(f"embodiment.twin.task: {spec.name} has none, so there is nothing to follow")
        self.task: FollowTask = spec.twin.task
        self.model = spec_model(spec)
        names = joint_names(self.model)
        self.columns = np.array([names.index(name) for name in spec.joint_names])
        self._data = self.model.createData()
        self._hovers = tuple(self.task.hands.values())
        self._frames = [frame_index(self.model, hover.frame) for hover in self._hovers]

    def points(self, ground: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the frames should be for blocks at places over the table.

        Args:
            ground: Shape (..., 2), [m].

        Returns:
            In the base, shape (..., H, 3), [m], in the order of the task's hands.
        """
        height = np.full((*ground.shape[:-1], 1), self.task.height)
        centre = np.concatenate([ground, height], axis=-1)
        points: NDArray[np.float64] = centre[..., None, :] + np.array([hover.offset for hover in self._hovers])
        return points

    def configuration(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Configuration of the model, shape (nq,), for joint positions, shape (n,): other joints are at zero."""
        full = np.zeros(self.model.nq)
        full[self.columns] = q
        return full

    def positions(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where joint positions put the frames.

        Args:
            q: Shape (..., n), [rad].

        Returns:
            In the base, shape (..., H, 3), [m].
        """
        rows = q.reshape(-1, q.shape[-1])
        full = np.zeros((len(rows), self.model.nq))
        full[:, self.columns] = rows
        positions = np.empty((len(rows), len(self._frames), 3))
        for row, configuration in zip(positions, full, strict=True):
            pin.forwardKinematics(self.model, self._data, configuration)
            for place, frame in enumerate(self._frames):
                row[place] = pin.updateFramePlacement(self.model, self._data, frame).translation
        return positions.reshape(*q.shape[:-1], len(self._frames), 3)

    def orientations(self, rest: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rotations that the frames should have, shape (H, 3, 3).

        Those of the rest pose, turned by the least angle that points the hover's axis along its direction.
        """
        pin.framesForwardKinematics(self.model, self._data, self.configuration(rest))
        rotations = []
        for hover, frame in zip(self._hovers, self._frames, strict=True):
            rotation = self._data.oMf[frame].rotation.copy()
            if hover.axis is not None:
                axis = rotation[:, "xyz".index(hover.axis)]
                direction = np.array(hover.direction) / np.linalg.norm(hover.direction)
                rotation = pin.Quaternion.FromTwoVectors(axis, direction).toRotationMatrix() @ rotation
            rotations.append(rotation)
        return np.stack(rotations)
