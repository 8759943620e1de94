"""One descent: the residual only falls, and every part of the task is what its derivative says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kinematics.limbs import ARMS, LIMBS
from unichunk.kinematics.inverse.descent import Patience, descend
from unichunk.kinematics.inverse.limb_task import LimbTask, Tolerance


def task_of(limb) -> LimbTask:
    return LimbTask(limb.model, limb.goals, limb.columns, 0.3, Tolerance(1e-9, 1e-9))


def box_of(limb):
    return limb.model.lowerPositionLimit[limb.columns], limb.model.upperPositionLimit[limb.columns]


@pytest.mark.parametrize("name", LIMBS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_more_steps_never_leave_a_larger_residual(name, seed) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(seed)
    task = task_of(limb)
    target, start = limb.poses(limb.random(rng)), limb.random(rng)
    target[:, :3, 3] += rng.normal(0, 0.05, (len(target), 3))
    task.aim(target)
    costs = []
    for steps in (0, 1, 2, 3, 5, 8, 11):
        found = descend(task, start.copy(), box_of(limb), Patience(steps, progress=1.0, poor_steps=99))
        error, _ = task.evaluate(_with(limb, start, found.x))
        assert found.cost == pytest.approx(float(error @ error), rel=1e-12)
        costs.append(found.cost)
    assert (np.diff(costs) <= 0.0).all()
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("name", LIMBS)
def test_the_jacobian_is_minus_the_derivative_of_the_error(name) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(0)
    task = task_of(limb)
    for _ in range(10):
        q, target = limb.random(rng), limb.poses(limb.random(rng))
        task.aim(target)
        _, jacobian = task.evaluate(q)
        for place, column in enumerate(limb.columns):
            ahead, behind = q.copy(), q.copy()
            ahead[column] += 1e-6
            behind[column] -= 1e-6
            slope = (task.evaluate(ahead)[0] - task.evaluate(behind)[0]) / 2e-6
            # Where the error is half a turn, its logarithm jumps; elsewhere it is smooth.
            if np.abs(slope).max() < 10.0:
                np.testing.assert_allclose(jacobian[:, place], -slope, atol=1e-4)


@pytest.mark.parametrize("name", ARMS)
def test_it_comes_to_the_very_target(name) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(1)
    task = task_of(limb)
    for _ in range(10):
        goal = limb.random(rng, 0.7)
        start = goal.copy()
        start[limb.columns] += rng.uniform(-0.1, 0.1, len(limb.columns))
        task.aim(limb.poses(goal))
        found = descend(task, start, box_of(limb), Patience(60, progress=1.0, poor_steps=20))
        assert found.cost < 1e-17


def _with(limb, q, x):
    q = q.copy()
    q[limb.columns] = x
    return q


def test_what_is_not_a_number_is_not_reached() -> None:
    task = task_of(ARMS["fr3"])
    assert task.reached(np.zeros(6))
    for place in range(6):
        error = np.zeros(6)
        error[place] = np.nan
        assert not task.reached(error)
