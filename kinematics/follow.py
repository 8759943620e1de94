"""Following targets within velocity limits: every row near the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.descent import IN_A_SEARCH, TO_THE_END, Preference, descend
from unichunk.kinematics.foresight import plan_ahead
from unichunk.kinematics.limb_rows import LimbRows, RowResult, solve_rows
from unichunk.kinematics.solution import RowStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from unichunk.kinematics.limb_task import LimbTask
    from unichunk.kinematics.seeds import Seeds

INSIDE: Final = 1.0 - 1e-9
"""Rounding must not carry a joint across its velocity limit."""

ENDS: Final = 6
"""So many configurations at the end of a chunk are traced back."""

COMFORT, DRAW = 0.25, 0.3
"""A path that ignores velocities prefers to leave this part of a joint's range at either end, by this part of the way
per row (gradient projection away from limits; Liegeois, IEEE T-SMC 7(12), 1977)."""

NUDGE: Final = 0.1
"""How far towards the middle of their ranges joints are moved to start anew where the slope leads nowhere, [rad]."""


class Follower:
    """Solves a limb's rows in the box of its position limits and of what its velocity limits allow per row.

    Args:
        task: The limb's goals.
        limits: Lower and upper position limits of the limb's joints, each shape (n,).
        seeds: Where else the limb could be.
        posture_gain: Part of the way to the posture that a row goes, as far as the targets leave it open.
    """

    def __init__(
        self,
        task: LimbTask,
        limits: tuple[NDArray[np.float64], NDArray[np.float64]],
        seeds: Seeds,
        posture_gain: float,
    ) -> None:
        self._task, self._seeds, self._posture_gain = task, seeds, posture_gain
        self._lower, self._upper = limits
        self._middle = 0.5 * (self._lower + self._upper)

    def solve(
        self,
        targets: NDArray[np.float64],
        valid: NDArray[np.bool_],
        q: NDArray[np.float64],
        max_step: NDArray[np.float64],
        posture: NDArray[np.float64] | None,
    ) -> LimbRows:
        """Joints for every row of targets.

        Args:
            targets: Poses in the model's base, shape (T, F, 4, 4), [m].
            valid: Rows that can be aimed at, shape (T,).
            q: All joints at the start, shape (nq,), within the limits.
            max_step: Largest change of the limb's joints from row to row, shape (n,).
            posture: Configuration that the limb is drawn to, shape (n,); None: as little motion as possible.
        """
        gain = self._posture_gain
        max_step = INSIDE * max_step
        rows = self._rows(targets, valid, q, max_step, lambda x, _: x if posture is None else x + gain * (posture - x))
        if rows.status[valid].any():
            rows = min(rows, self._with_foresight(targets, valid, q, max_step), key=LimbRows.badness)
        return rows

    def _with_foresight(
        self,
        targets: NDArray[np.float64],
        valid: NDArray[np.bool_],
        q: NDArray[np.float64],
        max_step: NDArray[np.float64],
    ) -> LimbRows:
        """Rows that set out in time for what later rows need, as far as their own targets leave it open.

        Where a limb runs into a velocity limit it is often a motion in the null space that comes all at once, as near
        singularities; where it runs into a position limit, it is often that it should have gone another way round
        before. A path is laid through the chunk that ignores velocities, a plan made of it that spreads the motion,
        and a last pass follows the targets and prefers, row by row, to be where the plan is.
        """
        start = q[self._task.joints].copy()
        inner_lower = self._lower + COMFORT * (self._upper - self._lower)
        inner_upper = self._upper - COMFORT * (self._upper - self._lower)

        def trace(targets: NDArray[np.float64], valid: NDArray[np.bool_], q: NDArray[np.float64]) -> LimbRows:
            return self._rows(
                targets,
                valid,
                q,
                np.full_like(max_step, np.inf),
                lambda x, _: x + DRAW * (np.clip(x, inner_lower, inner_upper) - x),
            )

        path = trace(targets, valid, q)
        if path.status[valid].any():
            paths = [path, *self._paths_from_the_end(targets, valid, q, path.x[-1], trace)]
            path = min(paths, key=lambda rows: (rows.badness()[0], np.abs((rows.x[0] - start) / max_step).max()))
        limits = self._lower, self._upper
        plan = _in_time(plan_ahead(self._task, targets, valid, q, limits, path.x, max_step), max_step)
        return self._rows(targets, valid, q, max_step, lambda _, row: plan[row])

    def _paths_from_the_end(
        self,
        targets: NDArray[np.float64],
        valid: NDArray[np.bool_],
        q: NDArray[np.float64],
        x: NDArray[np.float64],
        trace: Callable[[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]], LimbRows],
    ) -> Iterator[LimbRows]:
        """Paths traced back from configurations that reach the last target, those near to x first."""
        last = int(np.flatnonzero(valid)[-1])
        back = slice(last, None, -1)
        q = q.copy()
        for seed in self._seeds.nearest(q, x, targets[last], ENDS):
            self._task.aim(targets[last])
            q[self._task.joints] = seed
            if descend(self._task, q, (self._lower, self._upper), IN_A_SEARCH).reached:
                traced = trace(targets[back], valid[back], q)
                after = np.repeat(traced.x[:1], len(targets) - 1 - last, axis=0)
                yield replace(traced, x=np.concatenate([traced.x[::-1], after]))

    def _rows(
        self,
        targets: NDArray[np.float64],
        valid: NDArray[np.bool_],
        q: NDArray[np.float64],
        max_step: NDArray[np.float64],
        anchor: Callable[[NDArray[np.float64], int], NDArray[np.float64]],
    ) -> LimbRows:
        """One pass over the chunk; the null space is drawn to the anchor of the limb's joints and the row."""
        missed = False

        def follow(
            q: NDArray[np.float64], x: NDArray[np.float64], row: int, last_step: NDArray[np.float64]
        ) -> RowResult:
            nonlocal missed
            # What was tried in vain for the row before would be in vain again.
            result = self._follow(q, x, last_step, max_step, anchor(x, row), try_hard=not missed)
            missed = result.status != RowStatus.CONVERGED
            return result

        return solve_rows(self._task, targets, valid, q, follow)

    def _follow(
        self,
        q: NDArray[np.float64],
        x: NDArray[np.float64],
        last_step: NDArray[np.float64],
        max_step: NDArray[np.float64],
        anchor: NDArray[np.float64],
        *,
        try_hard: bool,
    ) -> RowResult:
        """The configuration within one row's reach that is nearest to the targets."""
        box = np.maximum(self._lower, x - max_step), np.minimum(self._upper, x + max_step)
        # The targets are where the motion so far leads, as a rule: linearized there, one step does. Its preference
        # takes back whatever part of the motion the task does not ask for, lest the null space drift on for ever.
        q[self._task.joints] = np.minimum(np.maximum(x + last_step, box[0]), box[1])
        found = descend(self._task, q, box, TO_THE_END, Preference(anchor, first=1.0, later=0.0))
        iterations, attempts = found.steps, 1
        if try_hard and not found.reached:
            # Where the limb is stretched out exactly, no slope says that it could bend.
            for start in (x, x + np.clip(self._middle - x, -NUDGE, NUDGE)):
                q[self._task.joints] = np.minimum(np.maximum(start, box[0]), box[1])
                other = descend(self._task, q, box, TO_THE_END)
                iterations, attempts = iterations + other.steps, attempts + 1
                found = min(found, other, key=lambda descent: descent.badness)
                if found.reached:
                    break
        if found.reached:
            return RowResult(found, RowStatus.CONVERGED, iterations, attempts)
        at_end = (found.x <= self._lower) | (found.x >= self._upper)
        hurried = (np.abs(found.x - x) >= INSIDE * max_step) & ~at_end
        status = RowStatus.VELOCITY_LIMITED if hurried.any() else RowStatus.UNREACHABLE
        return RowResult(found, status, iterations, attempts)


def _in_time(wanted: NDArray[np.float64], max_step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wanted rows, shape (T, n), moved so that from each one the next can be got to; the last one stays."""
    rows = wanted.copy()
    for row in range(len(rows) - 2, -1, -1):
        rows[row] = np.clip(rows[row], rows[row + 1] - max_step, rows[row + 1] + max_step)
    return rows
