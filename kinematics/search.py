"""Reaching targets from afar: descents from many starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.kinematics.descent import IN_A_SEARCH, TO_THE_END, Patience, Preference, descend
from unichunk.kinematics.limb_rows import LimbRows, RowResult, solve_rows
from unichunk.kinematics.seeds import SeedTable
from unichunk.kinematics.solution import RowStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.kinematics.chains import LimbChain
    from unichunk.kinematics.descent import Descent
    from unichunk.kinematics.goals import FrameGoal
    from unichunk.kinematics.limb_task import LimbTask

SETTLING_STEPS: Final = 12
"""Steps towards the posture at most, once the targets are reached."""

ONE_STEP: Final = Patience(steps=1, progress=1.0, poor_steps=1)

HALF_WAY: Final = 0.5
"""Part of the way to the posture that a settling step prefers to go."""


class Searcher:
    """Solves a limb's rows wherever their targets are, with restarts from near configurations of a `SeedTable`.

    Args:
        model: The robot.
        goals: The limb's goals.
        chain: The limb's joints.
        task: The limb's task.
        rotation_length: What a radian counts for, [m].
        attempts: Starting configurations tried at most.
        posture_gain: Part of the way to the posture that a step prefers to go.
    """

    def __init__(
        self,
        model: pin.Model,
        goals: Sequence[FrameGoal],
        chain: LimbChain,
        task: LimbTask,
        rotation_length: float,
        attempts: int,
        posture_gain: float,
    ) -> None:
        self._model, self._goals, self._chain, self._task = model, goals, chain, task
        self._rotation_length, self._attempts, self._posture_gain = rotation_length, attempts, posture_gain
        self._box = model.lowerPositionLimit[chain.columns], model.upperPositionLimit[chain.columns]
        self._data = model.createData()
        self._seeds: SeedTable | None = None
        self._seeds_made_at = np.empty(0)

    def solve(
        self,
        targets: NDArray[np.float64],
        valid: NDArray[np.bool_],
        q: NDArray[np.float64],
        posture: NDArray[np.float64] | None,
    ) -> LimbRows:
        """Joints for every row of targets.

        Args:
            targets: Poses in the model's base, shape (T, F, 4, 4), [m].
            valid: Rows that can be aimed at, shape (T,).
            q: All joints at the start, shape (nq,), within the limits.
            posture: Configuration that the limb is drawn to, shape (n,); None: as little motion as possible.
        """
        gain = self._posture_gain
        preference = None if posture is None else Preference(posture, first=gain, later=gain)
        return solve_rows(
            self._task, targets, valid, q, lambda q, x, row, _: self._search(q, x, targets[row], preference)
        )

    def _search(
        self,
        q: NDArray[np.float64],
        x: NDArray[np.float64],
        targets: NDArray[np.float64],
        preference: Preference | None,
    ) -> RowResult:
        """A configuration that reaches the targets, from here or from wherever it takes."""
        best = self._descend(q, x, IN_A_SEARCH, preference)
        iterations, attempts = best.steps, 1
        if not best.reached and self._attempts > 1:
            for seed in self._nearest_seeds(q, x, targets):
                found = self._descend(q, seed, IN_A_SEARCH, preference)
                iterations, attempts = iterations + found.steps, attempts + 1
                best = min(best, found, key=lambda descent: descent.badness)
                if best.reached:
                    break
        if not best.reached:
            best = self._descend(q, best.x, TO_THE_END, None)
            iterations += best.steps
        elif preference is not None:
            best, steps = self._settle(q, best, preference.anchor)
            iterations += steps
        status = RowStatus.CONVERGED if best.reached else RowStatus.UNREACHABLE
        return RowResult(best, status, iterations, attempts)

    def _settle(self, q: NDArray[np.float64], found: Descent, posture: NDArray[np.float64]) -> tuple[Descent, int]:
        """Nearer to the posture, as long as the targets stay reached; and the steps that it took."""
        preference = Preference(posture, first=HALF_WAY, later=0.0)
        for step in range(SETTLING_STEPS):
            nearer = self._descend(q, found.x, ONE_STEP, preference)
            if not nearer.reached or np.linalg.norm(nearer.x - posture) >= np.linalg.norm(found.x - posture):
                return found, step + 1
            found = nearer
        return found, SETTLING_STEPS

    def _descend(
        self, q: NDArray[np.float64], x: NDArray[np.float64], patience: Patience, preference: Preference | None
    ) -> Descent:
        q[self._task.joints] = x
        return descend(self._task, q, self._box, patience, preference)

    def _nearest_seeds(
        self, q: NDArray[np.float64], x: NDArray[np.float64], targets: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        locked = q[self._chain.locked]
        if self._seeds is None or not np.array_equal(locked, self._seeds_made_at):
            self._seeds = SeedTable(self._model, self._goals, self._chain, self._rotation_length, q)
            self._seeds_made_at = locked
        pin.forwardKinematics(self._model, self._data, q)
        root = self._data.oMi[self._chain.root]
        return self._seeds.nearest(root.inverse().homogeneous @ targets, x, self._attempts - 1)
