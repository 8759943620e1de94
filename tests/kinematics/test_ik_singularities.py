"""Through and along singular configurations: no jump, no way lost, and hurry spread over the chunk where it can be."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.kinematics.limbs import ARMS
from unichunk.kinematics import RowStatus
from unichunk.kinematics.inverse import follow
from unichunk.kinematics.inverse.follow import Follower
from unichunk.kinematics.inverse.limb_rows import solve_rows

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
    ik = limb.solver()
    for seed in range(4):
        start = limb.random(np.random.default_rng(seed), 0.5)
        targets = straight_out(limb, start, 60)
        solution = ik.solve(targets, start, dt=DT)
        steps = np.abs(np.diff(solution.q, axis=0, prepend=start[None]))
        assert (steps <= limb.model.velocityLimit * DT).all()
        assert (solution.status[20:40] != RowStatus.CONVERGED).any(), "the arm is longer than the test thinks"
        # Two seconds of rest are time enough for all joints. It may have come back another way round and stand at a
        # limit: then it says so, and does not swing around by itself.
        back = ik.solve(np.repeat(targets[-1:], 40, axis=0), solution.q[-1], dt=DT)
        returned += back.converged[-1]
    assert returned >= 3


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


@pytest.mark.parametrize("name", ["fr3", "rm75"])
def test_without_a_plan_there_is_no_foresight(name, monkeypatch) -> None:
    limb = ARMS[name]
    paths = list(feasible_paths(limb, np.random.default_rng(5), 250))
    planned = sum(limb_solution(limb, *path).converged.sum() for path in paths)
    monkeypatch.setattr(follow, "plan_ahead", lambda *arguments: arguments[-2])
    monkeypatch.setattr(follow, "_in_time", lambda plan, max_step: plan)
    assert sum(limb_solution(limb, *path).converged.sum() for path in paths) < planned


@pytest.mark.parametrize("far", [0.9, 3.0, 600.0])
def test_one_row_astray_does_not_swing_the_elbow(far) -> None:
    limb = ARMS["fr3"]
    start = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
    targets = np.repeat(limb.poses(start)[None], 32, axis=0)
    targets[4, 0, 0, 3] += far
    solution = limb.solver().solve(targets, start, dt=DT)
    assert not solution.converged[4]
    assert solution.converged[8:].all()
    assert np.abs(np.diff(solution.q[10:], axis=0)).max() < 0.01 * DT * limb.model.velocityLimit.min()
    assert np.abs(solution.q[-1] - start).max() < 0.3


def test_a_posture_holds_where_a_row_is_missed() -> None:
    limb = ARMS["fr3"]
    start = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
    ik = limb.solver()
    turned = start.copy()
    turned[2] += 0.5
    posture = ik.solve(limb.poses(start)[None], turned).q[0]
    targets = np.repeat(limb.poses(start)[None], 40, axis=0)
    targets[-1, 0, 0, 3] += 3.0
    solution = ik.solve(targets, start, dt=DT, posture=posture)
    assert not solution.converged[-1]
    assert np.abs(solution.q[-2] - posture).max() < 0.2 * np.abs(start - posture).max()


@pytest.mark.parametrize("name", ["fr3", "g1_left", "so101", "d1"])
def test_hurry_is_told_from_hopelessness(name) -> None:
    limb = ARMS[name]
    rng = np.random.default_rng(9)
    start, goal = limb.random(rng, 0.3), limb.random(rng, 0.3)
    rows = np.repeat(limb.poses(goal)[None], 2, axis=0)
    assert (limb.solver().solve(rows, start, dt=0.01).status == RowStatus.VELOCITY_LIMITED).all()
    rows[:, 0, :3, 3] += 3.0
    assert (limb.solver().solve(rows, start, dt=0.01).status == RowStatus.UNREACHABLE).all()


def test_a_joint_that_may_not_move_at_all_does_not_make_it_a_matter_of_time() -> None:
    limb = ARMS["d1"]
    rng = np.random.default_rng(10)
    limits = limb.model.velocityLimit.copy()
    limits[limb.columns[1]] = 0.0
    start, goal = limb.random(rng, 0.3), limb.random(rng, 0.3)
    solution = limb.solver(velocity_limit=limits).solve(np.repeat(limb.poses(goal)[None], 60, axis=0), start, dt=0.2)
    assert solution.status[-1] == RowStatus.UNREACHABLE
    assert (solution.q[:, limb.columns[1]] == start[limb.columns[1]]).all()


def no_row_at_all(self, asked, max_step, posture):
    nothing = solve_rows(self._task, replace(asked, valid=np.zeros_like(asked.valid)), lambda *_: None)
    return nothing, nothing


@cache
def coarse_solver(limb):
    return limb.solver(position_tolerance=1e-3, rotation_tolerance=1e-2)


def limb_solution(limb, targets, start):
    return coarse_solver(limb).solve(targets, start, dt=DT)


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
