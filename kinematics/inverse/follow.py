"""Following targets within velocity limits: every row near the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from unichunk.kinematics.inverse.descent import IN_A_SEARCH, TO_THE_END, Preference, descend
from unichunk.kinematics.inverse.foresight import in_steps, plan_ahead
from unichunk.kinematics.inverse.limb_rows import LimbRows, LimbTargets, RowResult, solve_rows
from unichunk.kinematics.inverse.solution import RowStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.limb_task import LimbTask
    from unichunk.kinematics.inverse.seeds import Seeds

INSIDE: Final = 1.0 - 1e-9
"""Rounding must not carry a joint across its velocity limit."""

ENDS: Final = 6
"""So many configurations at the end of a chunk are traced back."""

COMFORT, DRAW = 0.25, 0.3
"""A path that ignores velocities prefers to leave this part of a joint's range at either end, by this part of the way
per row (gradient projection away from limits; Liegeois, IEEE T-SMC 7(12), 1977)."""

HARD_TRIES: Final = 6
"""So many rows that are missed are tried from other starts; a chunk of nothing else must not take for ever."""

NUDGE: Final = 0.1
"""How far towards the middle of their ranges joints are moved to start anew where the slope leads nowhere, [rad]."""

Anchor: TypeAlias = "Callable[[NDArray[np.float64], int], NDArray[np.float64]]"
"""What the null space is drawn to, shape (n,), by the limb's joints in the row before, shape (n,), and the row."""


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

    def solve(self, asked: LimbTargets, max_step: NDArray[np.float64], posture: NDArray[np.float64] | None) -> LimbRows:
        """Joints for every row of targets.

        Args:
            asked: Targets and start.
            max_step: Largest change of the limb's joints from row to row, shape (n,).
            posture: Configuration that the limb is drawn to, shape (n,); None: as little motion as possible.
        """
        gain = self._posture_gain
        max_step = INSIDE * max_step
        rows = self._rows(asked, max_step, lambda x, _: x if posture is None else x + gain * (posture - x))
        if rows.status[asked.valid].any():
            path, ahead = self._with_foresight(asked, max_step, posture)
            # Only for rows that are reached: not an elbow is swung for a residual that is smaller by a hair.
            rows = ahead if ahead.missed < rows.missed else rows
            in_time = (path.status == RowStatus.CONVERGED) & (rows.status == RowStatus.UNREACHABLE)
            rows.status[in_time] = RowStatus.VELOCITY_LIMITED
        return rows

    def _with_foresight(
        self, asked: LimbTargets, max_step: NDArray[np.float64], posture: NDArray[np.float64] | None
    ) -> tuple[LimbRows, LimbRows]:
        """Rows that set out in time for what later rows need, as far as their own targets leave it open.

        Where a limb runs into a velocity limit it is often a motion in the null space that comes all at once, as near
        singularities; where it runs into a position limit, it is often that it should have gone another way round
        before. A path is laid through the chunk that ignores velocities, a plan made of it that spreads the motion,
        and a last pass follows the targets and prefers, row by row, to be where the plan is.

        Returns:
            The path, and the rows.
        """
        start = asked.q[self._task.joints]
        unhurried = np.where(max_step > 0.0, np.inf, 0.0)
        margin = COMFORT * (self._upper - self._lower)

        def drawn(x: NDArray[np.float64], _: int) -> NDArray[np.float64]:
            if posture is not None:
                return x + self._posture_gain * (posture - x)
            return x + DRAW * (np.clip(x, self._lower + margin, self._upper - margin) - x)

        path = self._rows(asked, unhurried, drawn)
        if path.status[asked.valid].any():
            paths = [path, *self._paths_from_the_end(asked, path.x[-1], unhurried, drawn)]
            scale = in_steps(max_step)
            path = min(paths, key=lambda rows: (rows.missed, np.abs((rows.x[0] - start) / scale).max()))
        limits = self._lower, self._upper
        plan = _in_time(plan_ahead(self._task, asked, limits, path.x, max_step), max_step)
        return path, self._rows(asked, max_step, lambda _, row: plan[row])

    def _paths_from_the_end(
        self, asked: LimbTargets, x: NDArray[np.float64], unhurried: NDArray[np.float64], anchor: Anchor
    ) -> Iterator[LimbRows]:
        """Paths traced back from configurations that reach the last target, those near to x first."""
        last = int(np.flatnonzero(asked.valid)[-1])
        rest = len(asked.poses) - 1 - last
        q = asked.q.copy()
        box = np.maximum(self._lower, x - unhurried), np.minimum(self._upper, x + unhurried)
        for seed in self._seeds.nearest(q, x, asked.poses[last], ENDS):
            self._task.aim(asked.poses[last])
            q[self._task.joints] = np.minimum(np.maximum(seed, box[0]), box[1])
            if descend(self._task, q, box, IN_A_SEARCH).reached:
                back = LimbTargets(asked.poses[last::-1], asked.valid[last::-1], q)
                traced = self._rows(back, unhurried, anchor)
                yield replace(
                    traced,
                    x=np.concatenate([traced.x[::-1], np.repeat(traced.x[:1], rest, axis=0)]),
                    status=np.concatenate([traced.status[::-1], np.full(rest, RowStatus.INVALID_INPUT, np.int8)]),
                )

    def _rows(self, asked: LimbTargets, max_step: NDArray[np.float64], anchor: Anchor) -> LimbRows:
        """One pass over the chunk; the null space is drawn to the anchor."""
        patience = HARD_TRIES

        def follow(
            q: NDArray[np.float64], x: NDArray[np.float64], row: int, last_step: NDArray[np.float64]
        ) -> RowResult:
            nonlocal patience
            result = self._follow(q, x, last_step, max_step, anchor(x, row), try_hard=patience > 0)
            patience -= not result.descent.reached
            return result

        return solve_rows(self._task, asked, follow)

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
        status = RowStatus.CONVERGED if found.reached else RowStatus.UNREACHABLE
        return RowResult(found, status, iterations, attempts)


def _in_time(wanted: NDArray[np.float64], max_step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wanted rows, shape (T, n), moved so that from each one the next can be got to; the last one stays."""
    rows = wanted.copy()
    for row in range(len(rows) - 2, -1, -1):
        rows[row] = np.clip(rows[row], rows[row + 1] - max_step, rows[row + 1] + max_step)
    return rows
