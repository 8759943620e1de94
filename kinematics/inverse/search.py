"""Reaching targets from afar: descents from many starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.inverse.descent import IN_A_SEARCH, TO_THE_END, Patience, Preference, descend
from unichunk.kinematics.inverse.limb_rows import LimbRows, LimbTargets, RowResult, solve_rows
from unichunk.kinematics.inverse.solution import RowStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.descent import Descent
    from unichunk.kinematics.inverse.limb_task import LimbTask
    from unichunk.kinematics.inverse.seeds import Seeds

NEAR: Final = 0.2
"""Weighted error, [m], within which the limb's own configuration is the first start; beyond, the table knows better."""

SETTLING_STEPS: Final = 12
"""Steps towards the posture at most, once the targets are reached."""

SETTLING: Final = Patience(steps=6, progress=1.0, poor_steps=6)
"""Of each settling step: one towards the posture, the others back onto the targets."""

TOWARDS: Final = 0.3
"""Part of the way to the posture that a settling step prefers to go."""


class Searcher:
    """Solves a limb's rows wherever their targets are, with restarts from configurations that are near them.

    Args:
        task: The limb's goals.
        limits: Lower and upper position limits of the limb's joints, each shape (n,).
        seeds: Where to start anew.
        attempts: Starting configurations tried at most.
        posture_gain: Part of the way to the posture that a step prefers to go.
    """

    def __init__(
        self,
        task: LimbTask,
        limits: tuple[NDArray[np.float64], NDArray[np.float64]],
        seeds: Seeds,
        attempts: int,
        posture_gain: float,
    ) -> None:
        self._task, self._limits, self._seeds = task, limits, seeds
        self._attempts, self._posture_gain = attempts, posture_gain

    def solve(self, asked: LimbTargets, posture: NDArray[np.float64] | None) -> LimbRows:
        """Joints for every row of targets.

        Args:
            asked: Targets and start.
            posture: Configuration that the limb is drawn to, shape (n,); None: as little motion as possible.
        """
        gain = self._posture_gain
        preference = None if posture is None else Preference(posture, first=gain, later=gain)
        return solve_rows(self._task, asked, lambda q, x, row, _: self._search(q, x, asked.poses[row], preference))

    def _search(
        self,
        q: NDArray[np.float64],
        x: NDArray[np.float64],
        targets: NDArray[np.float64],
        preference: Preference | None,
    ) -> RowResult:
        """A configuration that reaches the targets, from here or from wherever it takes."""
        best: Descent | None = None
        iterations = attempts = 0
        for start in self._starts(q, x, targets):
            found = self._descend(q, start, IN_A_SEARCH, preference)
            iterations, attempts = iterations + found.steps, attempts + 1
            best = found if best is None else min(best, found, key=lambda descent: descent.badness)
            if best.reached:
                break
        assert best is not None
        if not best.reached:
            best = self._descend(q, best.x, TO_THE_END, None)
            iterations += best.steps
        elif preference is not None:
            best, steps = self._settle(q, best, preference.anchor)
            iterations += steps
        status = RowStatus.CONVERGED if best.reached else RowStatus.UNREACHABLE
        return RowResult(best, status, iterations, attempts)

    def _starts(
        self, q: NDArray[np.float64], x: NDArray[np.float64], targets: NDArray[np.float64]
    ) -> Iterator[NDArray[np.float64]]:
        """Where to descend from: where the limb is, if that is near the targets, then what the table has nearest."""
        q[self._task.joints] = x
        error, _ = self._task.evaluate(q)
        count = self._attempts
        if count == 1 or float(error @ error) <= NEAR**2:
            yield x
            count -= 1
        yield from self._seeds.nearest(q, x, targets, count)

    def _settle(self, q: NDArray[np.float64], found: Descent, posture: NDArray[np.float64]) -> tuple[Descent, int]:
        """Nearer to the posture, as long as the targets stay reached; and the steps that it took."""
        preference = Preference(posture, first=TOWARDS, later=0.0)
        steps = 0
        for _ in range(SETTLING_STEPS):
            nearer = self._descend(q, found.x, SETTLING, preference)
            steps += nearer.steps
            if not nearer.reached or np.linalg.norm(nearer.x - posture) >= np.linalg.norm(found.x - posture):
                break
            found = nearer
        return found, steps

    def _descend(
        self, q: NDArray[np.float64], x: NDArray[np.float64], patience: Patience, preference: Preference | None
    ) -> Descent:
        q[self._task.joints] = x
        return descend(self._task, q, self._limits, patience, preference)
