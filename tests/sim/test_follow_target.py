"""The follow task: where the target goes, and what the expert makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.follow_target import FollowTarget
from unichunk.embodiments.sim.reference import reference_errors
from unichunk.embodiments.sim.target_path import REGION_X, REGION_Y, SPEED, TargetPath
from unichunk.embodiments.spec import load_spec

SPEC = load_spec("so101")


def test_the_path_is_a_function_of_seed_and_time_however_it_is_asked():
    times = np.linspace(0.0, 120.0, 500)
    at_once = TargetPath(5).position(times)
    one_by_one = TargetPath(5)
    np.testing.assert_array_equal(at_once, [one_by_one.position(float(t)) for t in times])
    late_first = TargetPath(5)
    late_first.position(500.0)
    np.testing.assert_array_equal(at_once, late_first.position(times))
    assert np.abs(TargetPath(6).position(times) - at_once).max() > 0.05


def test_the_target_stays_in_its_region_and_below_its_speed():
    times = np.arange(0.0, 600.0, 0.05)
    position = TargetPath(11).position(times)
    assert position.min(axis=0) == pytest.approx([REGION_X[0], REGION_Y[0]], abs=0.03)
    assert position.max(axis=0) == pytest.approx([REGION_X[1], REGION_Y[1]], abs=0.03)
    assert (position >= [REGION_X[0], REGION_Y[0]]).all()
    assert (position <= [REGION_X[1], REGION_Y[1]]).all()
    speed = np.linalg.norm(np.diff(position, axis=0), axis=1) / 0.05
    assert speed.max() <= SPEED[1] + 1e-9
    assert 0.02 < (speed < 1e-6).mean() < 0.3  # it pauses now and then


def test_the_hover_point_is_within_reach_everywhere():
    task = FollowTarget(SPEC, 0)
    x, y = np.meshgrid(np.linspace(*REGION_X, 15), np.linspace(*REGION_Y, 15))
    points = np.stack([x, y, np.full_like(x, 0.09)], axis=-1)
    q = task.solver.solve(points)
    assert np.linalg.norm(task.solver.position(q) - points, axis=-1).max() < 2e-3
    assert (q >= SPEC.limits.lower).all()
    assert (q <= SPEC.limits.upper).all()
    # Neighbouring points have neighbouring solutions: 1 cm apart, no joint turns by more than 10 degrees.
    assert max(np.abs(np.diff(q, axis=0)).max(), np.abs(np.diff(q, axis=1)).max()) < 0.35


def test_the_expert_approaches_a_goal_within_its_speed():
    expert = Expert(SPEC)
    plan = expert.continuation(np.zeros(6), np.full(6, 0.5), 60)
    assert plan.shape == (60, 6)
    steps = np.diff(np.vstack([np.zeros(6), plan]), axis=0)
    assert (steps <= 0.5 * SPEC.limits.velocity / SPEC.action_hz + 1e-12).all()
    assert (np.diff(np.abs(0.5 - plan), axis=0) <= 0.0).all()
    np.testing.assert_allclose(plan[-1], 0.5, atol=1e-6)


def test_the_expert_follows_closely_and_no_motion_does_not():
    errors = [reference_errors(SPEC, seed, 15.0, SPEC.rest) for seed in (101, 102)]
    for error in errors:
        assert error["expert_error_m"] < 0.015
        assert error["no_motion_error_m"] > 4 * error["expert_error_m"]
    assert errors[0] == reference_errors(SPEC, 101, 15.0, SPEC.rest)


def test_a_run_may_start_anywhere_on_the_path():
    early, late = (reference_errors(SPEC, 101, 4.0, SPEC.rest, start) for start in (0.0, 7.5))
    assert early["no_motion_error_m"] != late["no_motion_error_m"]
    assert late["expert_error_m"] < 0.03
