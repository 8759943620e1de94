"""Starting configurations near a target: a table of random ones, looked up by pose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.kinematics.robot_model import frame_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.chains import LimbChain
    from unichunk.kinematics.inverse.goals import FrameGoal

LARGEST_TABLE: Final = 4096
PER_JOINT: Final = 16
"""A table has this to the power of the number of joints as entries, and at most `LARGEST_TABLE`."""

JOINT_LENGTH: Final = 0.02
"""What a radian away from where the limb is counts for, [m]: among seeds alike, the nearest comes first."""


class SeedTable:
    """Random configurations of a limb and where its frames are.

    Args:
        model: The robot.
        limits: Lower and upper position limits of the limb's joints, each shape (n,).
        goals: The limb's goals.
        chain: The limb's joints. Poses are compared in the frame of its root, so that the table holds wherever that is.
        rotation_length: What a radian counts for, [m].
        q: All joints, shape (nq,); those that are not the limb's keep these values.
    """

    def __init__(
        self,
        model: pin.Model,
        limits: tuple[NDArray[np.float64], NDArray[np.float64]],
        goals: Sequence[FrameGoal],
        chain: LimbChain,
        rotation_length: float,
        q: NDArray[np.float64],
    ) -> None:
        self._goals, self._rotation_length = goals, rotation_length
        columns = chain.columns
        size = min(LARGEST_TABLE, PER_JOINT ** len(columns))
        self.configurations = np.random.default_rng(0).uniform(*limits, (size, len(columns)))
        data, q = model.createData(), q.copy()
        frames = [frame_index(model, goal.frame) for goal in goals]
        poses = np.empty((size, len(frames), 4, 4))
        for row, configuration in enumerate(self.configurations):
            q[columns] = configuration
            pin.framesForwardKinematics(model, data, q)
            for place, frame in enumerate(frames):
                poses[row, place] = (data.oMi[chain.root].actInv(data.oMf[frame])).homogeneous
        features = np.concatenate([self._describe(poses), JOINT_LENGTH * self.configurations], axis=1)
        # One feature to a row, single precision: that is how the product with a vector is fastest.
        self._features = np.ascontiguousarray(features.T, dtype=np.float32)
        self._half_squares = 0.5 * np.square(self._features).sum(axis=0)

    def nearest(self, targets_in_root: NDArray[np.float64], x: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """The configurations whose frames are nearest to the targets, best first.

        Args:
            targets_in_root: Shape (F, 4, 4), [m].
            x: Where the limb is, shape (n,).
            count: How many at most.

        Returns:
            Shape (<= count, n).
        """
        wanted = np.concatenate([self._describe(targets_in_root[None])[0], JOINT_LENGTH * x]).astype(np.float32)
        # Half of |feature - wanted|^2 without |wanted|^2, which is the same for all. Not by `@`, which may wake a pool
        # of threads.
        score = self._half_squares - np.einsum("j,ji->i", wanted, self._features)
        count = min(count, len(score))
        if count == 0:
            return self.configurations[:0]
        best = np.argpartition(score, count - 1)[:count]
        return self.configurations[best[np.argsort(score[best])]]

    def _describe(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vectors whose squared distance is that of the weighted task error, for small angles; shape (k, ...)."""
        features: list[NDArray[np.float64]] = []
        for place, goal in enumerate(self._goals):
            if goal.has_position:
                features.append(goal.weight * poses[:, place, :3, 3])
            if goal.has_orientation:
                # |R1 - R2|_F^2 = 4 (1 - cos angle), which is 2 angle^2 for small angles.
                scale = goal.weight * self._rotation_length / np.sqrt(2.0)
                features.append(scale * poses[:, place, :3, :3].reshape(len(poses), 9))
        return np.concatenate(features, axis=1)


class Seeds:
    """A limb's table, made when it is first needed (some ten milliseconds) and again when locked joints have moved.

    Args:
        model: The robot.
        limits: Lower and upper position limits of the limb's joints, each shape (n,).
        goals: The limb's goals.
        chain: The limb's joints.
        rotation_length: What a radian counts for, [m].
    """

    def __init__(
        self,
        model: pin.Model,
        limits: tuple[NDArray[np.float64], NDArray[np.float64]],
        goals: Sequence[FrameGoal],
        chain: LimbChain,
        rotation_length: float,
    ) -> None:
        self._model, self._limits, self._goals = model, limits, goals
        self._chain, self._rotation_length = chain, rotation_length
        self._data = model.createData()
        self._table: SeedTable | None = None
        self._locked_at = np.empty(0)

    def nearest(
        self, q: NDArray[np.float64], x: NDArray[np.float64], targets: NDArray[np.float64], count: int
    ) -> NDArray[np.float64]:
        """Configurations whose frames are nearest to the targets, best first.

        Args:
            q: All joints, shape (nq,).
            x: Where the limb is, shape (n,).
            targets: Poses in the model's base, shape (F, 4, 4), [m].
            count: How many at most.

        Returns:
            Shape (<= count, n).
        """
        locked = q[self._chain.locked]
        if self._table is None or not np.array_equal(locked, self._locked_at):
            self._table = SeedTable(self._model, self._limits, self._goals, self._chain, self._rotation_length, q)
            self._locked_at = locked
        pin.forwardKinematics(self._model, self._data, q)
        root = self._data.oMi[self._chain.root]
        return self._table.nearest(root.inverse().homogeneous @ targets, x, count)
