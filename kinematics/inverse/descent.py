"""From a starting configuration downhill to the nearest one that reaches the targets, within a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from unichunk.kinematics.inverse.box_step import box_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.limb_task import LimbTask

DAMPING_PER_ERROR: Final = 0.1
"""Damping over squared error: strong far from the target, gone at it (Sugihara, IEEE T-RO 27(5), 2011)."""

LEAST_DAMPING: Final = 1e-8
"""Keeps steps bounded at singular configurations, where the error may be small and the way long."""

RELIEF, PENALTY = 0.1, 5.0
"""What the damping is multiplied with at least after a step that helped, by how far it helped as much as promised
(Nielsen, IMM-REP-1999-05, DTU, 1999), and after one that did not help."""

DETOUR: Final = 0.02
"""Error that a preferred first step may leave, [m]: moving in the null space leads off the targets a little."""


@dataclass(frozen=True)
class Patience:
    """When to give up.

    Attributes:
        steps: Largest number of steps.
        progress: A step is poor that leaves more than this part of the squared error.
        poor_steps: So many poor steps, and it is over.
    """

    steps: int
    progress: float
    poor_steps: int


IN_A_SEARCH: Final = Patience(steps=20, progress=0.7, poor_steps=4)
"""There are other starts: leave a bad one soon."""

TO_THE_END: Final = Patience(steps=60, progress=0.999, poor_steps=6)
"""There is no other start: go on as long as it gets better."""


class Preference(NamedTuple):
    """A configuration that the joints are drawn to in the null space of the task.

    Attributes:
        anchor: The configuration, shape (n,), [rad] or [m].
        first: Part of the way to it that the first step prefers to go, 0 to 1.
        later: The same of all other steps.
    """

    anchor: NDArray[np.float64]
    first: float
    later: float


class Descent(NamedTuple):
    """Where a descent ended.

    Attributes:
        x: Joints of the limb, shape (n,), [rad] or [m].
        error: Weighted task error there, shape (m,), [m].
        cost: Its squared norm, [m^2].
        reached: Whether every goal is within tolerance.
        steps: Steps taken.
    """

    x: NDArray[np.float64]
    error: NDArray[np.float64]
    cost: float
    reached: bool
    steps: int

    @property
    def badness(self) -> tuple[bool, float]:
        """Order of results: reached before not reached, then by what is left."""
        return not self.reached, self.cost


def descend(
    task: LimbTask,
    q: NDArray[np.float64],
    box: tuple[NDArray[np.float64], NDArray[np.float64]],
    patience: Patience,
    preference: Preference | None = None,
) -> Descent:
    """Levenberg-Marquardt in a box: only steps that reduce the error, or that reach the targets, are taken.

    The first one may cost up to `DETOUR` where it goes as preferred; the others put that right.

    Args:
        task: The limb's goals, aimed at their targets.
        q: All joints, shape (nq,); the limb's own are the start and must lie in the box. Overwritten.
        box: Lower and upper bounds of the limb's joints, each shape (n,).
        patience: When to give up.
        preference: Where the joints go as far as the targets leave it open; None: as little as possible.
    """
    lower, upper = box
    joints = task.joints
    x = q[joints].copy()
    error, jacobian = task.evaluate(q)
    cost = float(error @ error)
    if preference is None and task.reached(error):
        return Descent(x, error, cost, reached=True, steps=0)
    preferred = None if preference is None else preference.first * (preference.anchor - x)
    damping = DAMPING_PER_ERROR * cost + LEAST_DAMPING
    poor = steps = 0
    while steps < patience.steps and poor < patience.poor_steps:
        steps += 1
        step = box_step(jacobian, error, damping, lower - x, upper - x, preferred)
        trial = np.minimum(np.maximum(x + step, lower), upper)
        q[joints] = trial
        trial_error, trial_jacobian = task.evaluate(q)
        trial_cost = float(trial_error @ trial_error)
        if task.reached(trial_error):
            return Descent(trial, trial_error, trial_cost, reached=True, steps=steps)
        poor = poor + 1 if trial_cost > patience.progress * cost else 0
        if trial_cost < cost or (steps == 1 and preference is not None and trial_cost < DETOUR**2):
            left = error - jacobian @ step
            promised = cost - float(left @ left)
            gain = min((cost - trial_cost) / promised, 1.0) if promised > 0.0 else 1.0
            damping = max(damping * min(max(1.0 - (2.0 * gain - 1.0) ** 3, RELIEF), 2.0), LEAST_DAMPING)
            x, error, jacobian, cost = trial, trial_error, trial_jacobian, trial_cost
            preferred = preference.later * (preference.anchor - x) if preference and preference.later else None
        else:
            damping *= PENALTY
            preferred = None
    q[joints] = x
    return Descent(x, error, cost, reached=False, steps=steps)
