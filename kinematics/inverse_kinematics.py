"""Inverse kinematics for whole chunks: targets of frames to joint positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin

from unichunk.kinematics.chains import limb_chains, moving_columns
from unichunk.kinematics.errors import KinematicsError, UnknownModel, WrongShape
from unichunk.kinematics.goals import FrameGoal
from unichunk.kinematics.limb import Limb, LimbSettings
from unichunk.kinematics.limb_task import Tolerance
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.robot_model import frame_index, joint_names
from unichunk.kinematics.solution import Solution
from unichunk.kinematics.targets import clean_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


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
        if model.nq != model.nv:
            raise KinematicsError(
                f"model {model.name}: {model.nq} positions for {model.nv} degrees of freedom; continuous and floating "
                "joints are not supported, give the joints limits"
            )
        self.model = model
        self.goals = tuple(FrameGoal(frame) if isinstance(frame, str) else frame for frame in frames)
        self._velocity_limit = _limits(model, velocity_limit)
        self._data = model.createData()
        if not self.goals:
            raise KinematicsError("frames: expected at least one frame to bring to a target, got none")
        if not 0.0 <= posture_gain <= 1.0:
            raise KinematicsError(f"posture_gain: {posture_gain}, expected a number from 0 to 1")
        allowed = _allowed_columns(model, joints)
        self._base_frame = None if base_frame is None else frame_index(model, base_frame)
        settings = LimbSettings(
            Tolerance(
                _positive("position_tolerance", position_tolerance), _positive("rotation_tolerance", rotation_tolerance)
            ),
            _positive("rotation_length", rotation_length),
            int(_positive("attempts", attempts)),
            posture_gain,
        )
        chains = limb_chains(model, [goal.frame for goal in self.goals], allowed)
        self._limbs = [Limb(model, self.goals, chain, settings) for chain in chains]
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
            q_start: Where the joints are before the first row, shape (nq,), [rad] or [m]. Brought into the limits.
            dt: Time between rows and before the first one, [s]: then no joint moves faster than its velocity limit,
                and where that is too slow the row is the nearest configuration within it. None: no limit; a row that
                is not reached from the one before is sought from elsewhere and may be far from it.
            posture: Configuration that the joints are drawn to as far as the targets leave it open, shape (nq,).
                None: as little motion as possible.

        Raises:
            KinematicsError: If a shape is wrong, dt is not positive or the posture is not finite.
        """
        model = self.model
        wanted_poses = np.asarray(targets, dtype=np.float64)
        if wanted_poses.ndim != 4 or wanted_poses.shape[1:] != (len(self.goals), 4, 4):
            raise WrongShape(
                f"targets: shape {wanted_poses.shape}, expected (T, {len(self.goals)}, 4, 4): a pose per row and frame"
            )
        if dt is not None:
            _positive("dt", dt)
        start, start_valid = self._start(q_start)
        count = len(wanted_poses)
        wanted = None if posture is None else _vector(model, "posture", posture)
        if wanted is not None and not np.isfinite(wanted).all():
            raise KinematicsError(f"posture: {wanted.tolist()}, expected finite numbers")
        poses, valid = clean_targets(wanted_poses, self.goals)
        if self._base_frame is not None:
            pin.framesForwardKinematics(model, self._data, start)
            poses = self._data.oMf[self._base_frame].homogeneous @ poses
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
                poses[:, places],
                np.logical_and.reduce(valid[:, places], axis=1) & start_valid,
                start,
                None if dt is None else dt * self._velocity_limit[columns],
                None if wanted is None else wanted[columns],
            )
            solution.q[:, columns] = rows.x
            np.maximum(solution.status, rows.status, out=solution.status)
            solution.position_error[:, places] = rows.position_error
            solution.rotation_error[:, places] = rows.rotation_error
            solution.iterations[:] += rows.iterations
            np.maximum(solution.attempts, rows.attempts, out=solution.attempts)
        return solution

    def _start(self, q_start: ArrayLike) -> tuple[NDArray[np.float64], bool]:
        """Start within the limits, and whether it was a configuration at all."""
        model = self.model
        start = _vector(model, "q_start", q_start)
        lower, upper = model.lowerPositionLimit, model.upperPositionLimit
        known = np.isfinite(start)
        return np.clip(np.where(known, start, 0.5 * (lower + upper)), lower, upper), bool(known.all())


def _allowed_columns(model: pin.Model, joints: Sequence[str] | None) -> frozenset[int]:
    names = joint_names(model)
    for name in joints or ():
        if name not in names:
            raise UnknownModel(f"unknown joint {name!r} of {model.name}: {instead_of(name, names)}")
    return frozenset(column for column, name in enumerate(names) if joints is None or name in joints)


def _limits(model: pin.Model, velocity_limit: ArrayLike | None) -> NDArray[np.float64]:
    if velocity_limit is None:
        return np.array(model.velocityLimit)
    limits = _vector(model, "velocity_limit", velocity_limit)
    if not (limits >= 0.0).all():
        raise KinematicsError(f"velocity_limit: {limits.tolist()}, expected numbers that are not negative")
    return limits


def _vector(model: pin.Model, what: str, values: ArrayLike) -> NDArray[np.float64]:
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (model.nq,):
        raise WrongShape(f"{what}: shape {vector.shape}, expected ({model.nq},): {', '.join(joint_names(model))}")
    return vector


def _positive(what: str, value: float) -> float:
    if not 0.0 < value < float("inf"):
        raise KinematicsError(f"{what}: {value}, expected a positive number")
    return value
