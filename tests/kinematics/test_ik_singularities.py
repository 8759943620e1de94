"""Through and along singular configurations: no jump, no way lost, and hurry spread over the chunk where it can be."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kinematics.limbs import ARMS
from unichunk.kinematics import RowStatus
from unichunk.kinematics.follow import Follower
from unichunk.kinematics.limb_rows import solve_rows

DT = 0.05


def straight_out(limb, start, rows):
    """The hand moves away from the base on a straight line until the arm is stretched, and back."""
    pose = limb.poses(start)[0]
    away = pose[:3, 3] / np.linalg.norm(pose[:3, 3])
    targets = np.repeat(pose[None, None], rows, axis=0)
    out = 0.6 * np.sin(np.linspace(0, np.pi, rows))
    targets[:, 0, :3, 3] += out[:, None] * away
    return targets


@pytest.mark.parametrize("name", ARMS)
def test_out_to_where_no_arm_reaches_and_back_without_a_jump(name) -> None:
    limb, returned = ARMS[name], 0
    for seed in range(6):
        start = limb.random(np.random.default_rng(seed), 0.5)
        targets = straight_out(limb, start, 60)
        solution = limb.solver().solve(targets, start, dt=DT)
        steps = np.abs(np.diff(solution.q, axis=0, prepend=start[None]))
        assert (steps <= limb.model.velocityLimit * DT).all()
        assert (solution.status[20:40] != RowStatus.CONVERGED).any(), "the arm is longer than the test thinks"
        # Two seconds of rest are time enough for all joints. It may have come back another way round and stand at a
        # limit: then it says so, and does not swing around by itself.
        back = limb.solver().solve(np.repeat(targets[-1:], 40, axis=0), solution.q[-1], dt=DT)
        returned += back.converged[-1]
    assert returned >= 4


def test_a_stretched_arm_bends_again() -> None:
    """With the elbow exactly straight the slope says nothing of bending it."""
    limb = ARMS["g1_left"]
    start = limb.middle()
    elbow = limb.columns[3]
    start[elbow] = 0.0
    bent = start.copy()
    bent[elbow] = 0.6
    target = limb.poses(bent)
    rows = np.repeat(target[None], 20, axis=0)
    assert limb.solver().solve(rows, start, dt=DT).converged[-1]


@pytest.mark.parametrize("name", ["fr3", "rm75", "adam_u_left"])
def test_foresight_keeps_up_where_a_greedy_row_does_not(name, monkeypatch) -> None:
    """Feasible paths (the joints that made them keep to 80 % of their limits), at random, some near singularities."""
    limb = ARMS[name]
    paths = list(feasible_paths(limb, np.random.default_rng(5), 250))
    with_foresight = sum(not limb_solution(limb, *path).converged.all() for path in paths)
    monkeypatch.setattr(Follower, "_with_foresight", no_row_at_all)
    greedy = sum(not limb_solution(limb, *path).converged.all() for path in paths)
    assert with_foresight <= 0.02 * len(paths)
    assert with_foresight <= greedy
    if name == "rm75":
        assert with_foresight < greedy


def no_row_at_all(self, targets, valid, q, max_step):
    return solve_rows(self._task, targets, np.zeros_like(valid), q, lambda *_: None)


def limb_solution(limb, targets, start):
    return limb.solver(position_tolerance=1e-3, rotation_tolerance=1e-2).solve(targets, start, dt=DT)


def feasible_paths(limb, rng, count):
    """Sums of sinusoids of the joints, 16 rows, as targets and the configuration before the first one."""
    columns = limb.columns
    lower, upper = limb.model.lowerPositionLimit[columns], limb.model.upperPositionLimit[columns]
    times = DT * np.arange(17)[:, None, None]
    for _ in range(count):
        sizes = 0.1 * (upper - lower) * rng.uniform(0, 1, (3, len(columns)))
        waves = sizes * np.sin(
            2 * np.pi * rng.uniform(0.05, 0.5, sizes.shape) * times + rng.uniform(0, 6.3, sizes.shape)
        )
        joints = np.clip(
            0.5 * (lower + upper) + 0.25 * (upper - lower) * rng.uniform(-1, 1, len(columns)) + waves.sum(axis=1),
            lower,
            upper,
        )
        if (np.abs(np.diff(joints, axis=0)) > 0.8 * DT * limb.model.velocityLimit[columns]).any():
            continue
        q = np.repeat(limb.middle()[None], 17, axis=0)
        q[:, columns] = joints
        yield np.array([limb.poses(row) for row in q[1:]]), q[0]
