"""Where a robot's end effectors are: forward kinematics of joint rows in the order of the spec."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import spec_model
from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.robot_model import frame_index, joint_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec, Side


class EndEffectorPoses:
    """Forward kinematics of end effectors. Safe from several threads: each has its buffers.

    Joints of the model that the spec does not have are at zero, or at the end of their range that is nearest to it.
    Rows are brought into the spec's position limits first: farther no robot goes.

    Args:
        spec: The robot.
        sides: Whose, in this order.

    Raises:
        SpecError: Where a joint of the spec or the frame of an end effector is none of its model, or a joint of the
            model has no limits.
    """

    def __init__(self, spec: EmbodimentSpec, sides: Sequence[Side]) -> None:
        self.sides = tuple(sides)
        self.model = spec_model(spec)
        """The Pinocchio model, with the spec's position limits."""
        names = joint_names(self.model)
        for name in spec.joint_names:
            if name not in names:
                raise SpecError(f"{spec.name}: joint {name!r} is none of {spec.model}, which has {', '.join(names)}")
        if self.model.nq != len(names):
            raise SpecError(
                f"embodiment.model: {spec.model}: expected one position for each joint, got {self.model.nq} for "
                f"{len(names)}: a continuous joint has two, give it limits"
            )
        self.columns = np.array([names.index(name) for name in spec.joint_names])
        """Place of each of the spec's joints in the model's configuration, shape (n,)."""
        lower, upper = np.array(self.model.lowerPositionLimit), np.array(self.model.upperPositionLimit)
        lower[self.columns], upper[self.columns] = spec.limits.lower, spec.limits.upper
        self.model.lowerPositionLimit, self.model.upperPositionLimit = lower, upper
        self._lower, self._upper = lower, upper
        self._frames = [self._frame(spec, side) for side in self.sides]
        self._local = threading.local()

    def _frame(self, spec: EmbodimentSpec, side: Side) -> int:
        try:
            return frame_index(self.model, spec.end_effectors[side].frame)
        except UnknownModel as error:
            raise SpecError(f"embodiment.end_effectors.{side}.frame: {error}") from None

    def configurations(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joint rows (m, n) as configurations of the model (m, nq), within the limits."""
        q = np.zeros((len(joints), len(self._lower)))
        q[:, self.columns] = joints
        inside: NDArray[np.float64] = np.minimum(np.maximum(q, self._lower), self._upper)
        return inside

    def poses(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Poses of the end effectors in the base.

        Args:
            joints: Joint rows, shape (m, n), [rad] or [m], finite.

        Returns:
            Shape (F, m, 4, 4), [m], in the order of the sides.
        """
        data = self._data()
        poses = np.empty((len(self._frames), len(joints), 4, 4))
        for row, q in enumerate(self.configurations(joints)):
            pin.forwardKinematics(self.model, data, q)
            for place, frame in enumerate(self._frames):
                poses[place, row] = pin.updateFramePlacement(self.model, data, frame).homogeneous
        return poses

    def frame_pose(self, frame: int, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pose of a frame of the model in the base, shape (4, 4), for one joint row (n,)."""
        data = self._data()
        pin.forwardKinematics(self.model, data, self.configurations(joints[None])[0])
        pose: NDArray[np.float64] = pin.updateFramePlacement(self.model, data, frame).homogeneous
        return pose

    def joint_poses(self, configurations: NDArray[np.float64], joint: int) -> NDArray[np.float64]:
        """Poses of a joint of the model (0 is the base), shape (m, 4, 4), for configurations (m, nq)."""
        data = self._data()
        poses = np.empty((len(configurations), 4, 4))
        for row, q in enumerate(configurations):
            pin.forwardKinematics(self.model, data, q)
            poses[row] = data.oMi[joint].homogeneous
        return poses

    def _data(self) -> pin.Data:
        if not hasattr(self._local, "data"):
            self._local.data = self.model.createData()
        return self._local.data
