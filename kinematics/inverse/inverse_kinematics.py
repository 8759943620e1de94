"""Inverse kinematics for whole chunks: targets of frames to joint positions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.kinematics.errors import KinematicsError, UnknownModel, WrongShape
from unichunk.kinematics.inverse.chains import limb_chains, moving_columns
from unichunk.kinematics.inverse.goals import FrameGoal
from unichunk.kinematics.inverse.joint_limits import JointLimits
from unichunk.kinematics.inverse.limb import Limb, LimbSettings
from unichunk.kinematics.inverse.limb_rows import LimbTargets
from unichunk.kinematics.inverse.limb_task import Tolerance
from unichunk.kinematics.inverse.solution import Solution
from unichunk.kinematics.inverse.targets import clean_targets
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.robot_model import frame_index
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


LARGEST_WEIGHT_RATIO: Final = 100.0
"""Largest over smallest weight of a solver's goals: beyond it the lesser goal drowns in rounding and damping."""


class InverseKinematics:
    """Joint positions that bring frames of a robot to targets, within its limits.

    Goals that share joints make a limb; limbs are solved one by one, each by Levenberg-Marquardt descents in the box
    of its limits (`descent`), with restarts from a table of configurations near the target (`seeds`).

    An instance holds buffers: one thread at a time.

    Args:
        model: The robot; every joint has one degree of freedom.
        frames: Frames that get targets, in this order: names, for goals of whole poses, or `FrameGoal`s.
        joints: Names of the joints that may move; None: all that move one of the frames. Others stay at the start.
        base_frame: Frame that the targets are given in, none of whose joints may move; None: the model's root.
        position_tolerance: Distance that counts as reached, [m].
        rotation_tolerance: Angle that counts as reached, [rad].
        velocity_limit: Of all joints of the model, shape (nq,), [rad/s] or [m/s]; None: the model's.
        rotation_length: What a radian of rotation error counts for where not everything can be met, [m].
        attempts: Starting configurations tried at most for a row, without a velocity limit.
        posture_gain: Part of the way to the posture that a row goes, 0 to 1, as far as the targets leave it open.

    Raises:
        KinematicsError: With one line, if any of this does not fit the model.
    """

    def __init__(
        self,
        model: pin.Model,
        frames: Sequence[str | FrameGoal],
        *,
        joints: Sequence[str] | None = None,
        base_frame: str | None = None,
        position_tolerance: float = 1e-4,
        rotation_tolerance: float = 1e-3,
        velocity_limit: ArrayLike | None = None,
        rotation_length: float = 0.2,
        attempts: int = 64,
        posture_gain: float = 0.1,
    ) -> None:
        self.model = model
        self.goals = _goals(frames)
        self._limits = JointLimits.of(model, velocity_limit)
        self._data = model.createData()
        settings = LimbSettings(
            Tolerance(
                _number("position_tolerance", position_tolerance, 1e-9, 1.0),
                _number("rotation_tolerance", rotation_tolerance, 1e-9, np.pi),
            ),
            _number("rotation_length", rotation_length, 0.01, 10.0),
            int(_number("attempts", attempts, 1, 10_000)),
            _number("posture_gain", posture_gain, 0.0, 1.0),
        )
        chains = limb_chains(model, [goal.frame for goal in self.goals], self._allowed(joints))
        self._limbs = [Limb(model, self._limits, self.goals, chain, settings) for chain in chains]
        self._base_frame = None if base_frame is None else frame_index(model, base_frame)
        carriers = frozenset() if base_frame is None else moving_columns(model, base_frame)
        if any(carriers.intersection(chain.columns.tolist()) for chain in chains):
            raise KinematicsError(f"base frame {base_frame} is moved by joints that may move: exclude them")

    def solve(
        self,
        targets: ArrayLike,
        q_start: ArrayLike,
        *,
        dt: float | None = None,
        posture: ArrayLike | None = None,
    ) -> Solution:
        """Joint positions for rows of targets, each row from the one before.

        Bad numbers are answered by a status, not by an exception: see `RowStatus`.

        Args:
            targets: Pose of each frame in the base, shape (T, F, 4, 4), [m]; of each only what its goal asks for is
                looked at.
            q_start: Where the joints are before the first row, shape (nq,), [rad] or [m]. Brought into the limits;
                with dt it may be outside by 0.1 at most.
            dt: Time between rows and before the first one, [s]: then no joint moves faster than its velocity limit,
                and where that is too slow the row is the nearest configuration within it. None: no limit; a row that
                is not reached from the one before is sought from elsewhere and may be far from it.
            posture: Configuration that the joints are drawn to as far as the targets leave it open, shape (nq,).
                None: as little motion as possible.

        Raises:
            KinematicsError: If a shape is wrong, dt is not positive or the posture is not finite.
        """
        wanted_poses = float_array(targets, "targets", None, len(self.goals), 4, 4)
        if wanted_poses.ndim != 4:
            raise WrongShape(
                f"targets: shape {wanted_poses.shape}, expected (T, {len(self.goals)}, 4, 4): a pose per row and frame"
            )
        seconds = None if dt is None else _number("dt", dt, 1e-6, 1e3)
        start, start_valid = self._limits.start(q_start, as_measured=seconds is not None)
        anchor = None if posture is None else self._posture(posture)
        poses, valid = clean_targets(wanted_poses, self.goals)
        if self._base_frame is not None:
            pin.framesForwardKinematics(self.model, self._data, start)
            poses = self._data.oMf[self._base_frame].homogeneous @ poses
        count = len(poses)
        solution = Solution(
            q=np.tile(start, (count, 1)),
            status=np.zeros(count, dtype=np.int8),
            position_error=np.empty(valid.shape),
            rotation_error=np.empty(valid.shape),
            iterations=np.zeros(count, dtype=np.int64),
            attempts=np.zeros(count, dtype=np.int64),
        )
        for limb in self._limbs:
            places, columns = list(limb.chain.places), limb.chain.columns
            rows = limb.solve(
                LimbTargets(poses[:, places], np.logical_and.reduce(valid[:, places], axis=1) & start_valid, start),
                None if seconds is None else seconds * self._limits.velocity[columns],
                None if anchor is None else anchor[columns],
            )
            solution.q[:, columns] = rows.x
            np.maximum(solution.status, rows.status, out=solution.status)
            solution.position_error[:, places] = rows.position_error
            solution.rotation_error[:, places] = rows.rotation_error
            solution.iterations[:] += rows.iterations
            np.maximum(solution.attempts, rows.attempts, out=solution.attempts)
        return solution

    def _posture(self, posture: ArrayLike) -> NDArray[np.float64]:
        anchor = self._limits.vector("posture", posture)
        if not np.isfinite(anchor).all():
            raise KinematicsError(f"posture: {anchor.tolist()}, expected finite numbers")
        return np.minimum(np.maximum(anchor, self._limits.lower), self._limits.upper)

    def _allowed(self, joints: Sequence[str] | None) -> frozenset[int]:
        names = self._limits.names
        for name in joints or ():
            if name not in names:
                raise UnknownModel(f"unknown joint {name!r} of {self.model.name}: {instead_of(name, names)}")
        return frozenset(column for column, name in enumerate(names) if joints is None or name in joints)


def _goals(frames: Sequence[str | FrameGoal]) -> tuple[FrameGoal, ...]:
    """The goals, their weights relative to the largest."""
    goals = tuple(frame if isinstance(frame, FrameGoal) else FrameGoal(str(frame)) for frame in frames)
    if not goals:
        raise KinematicsError("frames: expected at least one frame to bring to a target, got none")
    largest = max(goals, key=lambda goal: goal.weight)
    for goal in goals:
        if goal.weight * LARGEST_WEIGHT_RATIO < largest.weight:
            raise KinematicsError(
                f"goal of {goal.frame}: weight {goal.weight:g} beside {largest.weight:g} of {largest.frame}; expected "
                f"a factor of {LARGEST_WEIGHT_RATIO:g} at most"
            )
    return tuple(replace(goal, weight=goal.weight / largest.weight) for goal in goals)


def _number(what: str, value: float, least: float, largest: float) -> float:
    if not isinstance(value, (int, float, np.number)) or not least <= value <= largest:
        raise KinematicsError(f"{what}: {value!r}, expected a number from {least:g} to {largest:g}")
    return float(value)
