"""A plan for a whole chunk: where the joints should be, row by row, so that none has to hurry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.inverse.symmetric import solve_block_chain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.limb_rows import LimbTargets
    from unichunk.kinematics.inverse.limb_task import LimbTask

ITERATIONS: Final = 16

POWER: Final = 6
"""The plan keeps the sum of this power of all steps, over their limits, small: nearly the largest one alone."""

TASK_WEIGHT: Final = 10.0
"""An error as large as its tolerance costs so much; a step as large as its limit costs 1."""

LEAST_WEIGHT: Final = 1e-2
"""What even a slow step costs, over its square, so that the null space does not wander."""

LARGEST_CHANGE: Final = 0.3
"""No joint's plan changes by more in one iteration, [rad] or [m]."""

LEAST_STEP: Final = 1e-4
"""Velocity limits below this per row count as this, [rad] or [m]: keeps the equations well conditioned."""


def in_steps(max_step: NDArray[np.float64]) -> NDArray[np.float64]:
    """What motions are divided by to count them in steps: the largest change per row, but not nearly 0, shape (n,)."""
    return np.maximum(max_step, LEAST_STEP)


def plan_ahead(
    task: LimbTask,
    asked: LimbTargets,
    limits: tuple[NDArray[np.float64], NDArray[np.float64]],
    first_plan: NDArray[np.float64],
    max_step: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Joints for all rows at once, close to the targets, with the largest step as small as possible.

    Gauss-Newton on all rows together, at a cost that grows with their number only; the power of the steps by reweighted
    least squares. The plan is a preference:
    it need not reach the targets exactly nor respect the velocity limits.

    Args:
        task: The limb's goals.
        asked: Targets and start; the plan passes through rows that are not valid.
        limits: Lower and upper position limits of the limb's joints, each shape (n,).
        first_plan: Rows to begin with, shape (T, n).
        max_step: Largest change of a joint from row to row, shape (n,).

    Returns:
        Shape (T, n), within the position limits.
    """
    q = asked.q.copy()
    start = q[task.joints].copy()
    count, joints = first_plan.shape
    scale = in_steps(max_step)
    diagonal = np.arange(joints)
    plan = first_plan
    for _ in range(ITERATIONS):
        blocks = np.zeros((count, joints, joints))
        slope = np.zeros((count, joints))
        for row in np.flatnonzero(asked.valid):
            task.aim(asked.poses[row])
            q[task.joints] = plan[row]
            error, jacobian = task.evaluate(q)
            jacobian /= task.tolerances[:, None]
            blocks[row] = TASK_WEIGHT * jacobian.T @ jacobian
            slope[row] = TASK_WEIGHT * jacobian.T @ (error / task.tolerances)
        steps = np.diff(plan, axis=0, prepend=start[None])
        weights = (np.abs(steps / scale) ** (POWER - 2) + LEAST_WEIGHT) / scale**2
        blocks[:, diagonal, diagonal] += weights
        blocks[:-1, diagonal, diagonal] += weights[1:]
        slope -= weights * steps
        slope[:-1] += (weights * steps)[1:]
        change = solve_block_chain(blocks, -weights[1:], slope)
        plan = np.clip(plan + np.clip(change, -LARGEST_CHANGE, LARGEST_CHANGE), *limits)
    return plan
