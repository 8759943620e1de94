"""The follow task: where the hands should be, how that is scored, and what the expert makes of it, for every robot."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.follow_score import APPROACH_S, Told, follow_score
from unichunk.embodiments.sim.follow_target import FollowTarget
from unichunk.embodiments.sim.hands import POSTURES
from unichunk.embodiments.sim.instruction import Asked
from unichunk.embodiments.sim.reference import expert_score, no_motion_score, reference_errors
from unichunk.embodiments.sim.twin import Twin

SPEC = load_spec("so101")
ROBOTS = [name for name in embodiment_names() if (twin := load_spec(name).twin) is not None and twin.task is not None]


@pytest.mark.parametrize("name", ROBOTS)
def test_goals_hold_the_hands_at_the_block_that_is_named_in_the_posture_that_is_asked(name):
    spec = load_spec(name)
    follow, hovers = FollowTarget(spec, 3), spec.twin.task.hands.values()
    times = np.linspace(0.0, 60.0, 200)
    for block in BLOCKS:
        points = follow.points(block, times)
        place = np.insert(follow.paths.position(block, times), 2, spec.twin.task.height, axis=-1)
        for hand, hover in enumerate(hovers):
            np.testing.assert_allclose(points[:, hand], place + hover.offset, atol=1e-12)
        for posture in POSTURES:
            q = follow.goal(block, times, posture)
            assert follow.errors(block, times, q).max() < 1e-3
            assert follow.hands.error(q, posture).max() < 1e-9
            assert (q >= spec.limits.lower - 1e-12).all()
            assert (q <= spec.limits.upper + 1e-12).all()
    numbers = np.arange(len(times)) % 3
    mixed = follow.goal("red", times, numbers)
    np.testing.assert_array_equal(mixed[1::3], follow.goal("red", times[1::3], "open"))


def test_the_error_is_that_of_the_hand_that_is_further_away():
    follow = FollowTarget(load_spec("g1_o6"), 3)
    q = follow.goal("red", 1.0)
    q[[0, 7]] += 0.1, 0.02
    away = np.linalg.norm(follow.positions(q) - follow.points("red", 1.0), axis=-1)
    assert away[0] != pytest.approx(away[1], abs=5e-3)
    assert follow.errors("red", 1.0, q) == pytest.approx(away.max())


def test_a_robot_without_a_task_has_nothing_to_follow():
    for twin in (None, msgspec.structs.replace(SPEC.twin, task=None)):
        with refused(SpecError, "so101", "nothing to follow"):
            FollowTarget(msgspec.structs.replace(SPEC, twin=twin), 0)


@pytest.mark.parametrize("name", ROBOTS)
def test_the_expert_approaches_a_goal_within_its_speed(name):
    spec = load_spec(name)
    expert, n = Expert(spec), spec.limits.size
    plan = expert.continuation(np.zeros(n), np.full(n, 0.5), 4 * spec.action_hz)
    steps = np.diff(np.vstack([np.zeros(n), plan]), axis=0)
    assert (steps <= 0.5 * spec.limits.velocity / spec.action_hz + 1e-12).all()
    assert (np.diff(np.abs(0.5 - plan), axis=0) <= 0.0).all()
    np.testing.assert_allclose(plan[-1], 0.5, atol=1e-2)
    # It brakes no harder than it may.
    assert (-np.diff(steps, axis=0) * spec.action_hz**2 <= 1.1 * spec.limits.acceleration).all()


def test_the_expert_is_equally_fast_at_every_action_rate():
    for hz in (10, 20, 50):
        expert = Expert(msgspec.structs.replace(SPEC, action_hz=hz))
        reached = expert.continuation(np.zeros(6), np.full(6, 0.05), hz // 5)[-1]
        np.testing.assert_allclose(reached, 0.05 * (1.0 - 0.55**4), rtol=1e-6)
    np.testing.assert_allclose(Expert(SPEC).gain, 0.45)
    np.testing.assert_allclose(Expert(SPEC).max_step, 0.075)


@pytest.mark.parametrize("name", ROBOTS)
def test_success_is_what_the_expert_has_and_no_motion_has_not(name):
    spec = load_spec(name)
    twin = Twin(spec, 101)
    asked = [Asked("red"), Asked("blue", "open"), Asked("blue", "closed")]
    told = Told.of([one for one in asked for _ in range(4 * spec.action_hz)])
    expert, still = expert_score(twin, told, spec.rest), no_motion_score(twin, told, spec.rest)
    assert expert.success
    assert expert.on_target > 0.9
    assert expert.other_error > 4 * expert.error
    assert expert.posture_error < 0.1 < still.posture_error
    assert not still.success


def test_references_are_the_same_again_and_of_the_path_from_where_the_run_started():
    asked = Asked("red")
    error = reference_errors(SPEC, 101, asked, 15.0, SPEC.rest)
    assert error["no_motion_error_m"] > 4 * error["expert_error_m"]
    assert error["expert_error_m"] < 0.015
    assert error == reference_errors(SPEC, 101, asked, 15.0, SPEC.rest)
    late = reference_errors(SPEC, 101, asked, 4.0, SPEC.rest, 7.5)
    assert late["no_motion_error_m"] != reference_errors(SPEC, 101, asked, 4.0, SPEC.rest)["no_motion_error_m"]
    assert late["expert_error_m"] < 0.03


def test_a_score_counts_from_the_end_of_every_approach():
    follow, near = FollowTarget(SPEC, 7), SPEC.twin.task.near
    ticks, samples = 200, 5
    times = (1 + np.arange(ticks * samples)) / SPEC.command_hz
    on_red, on_blue = (follow.goal(block, times) for block in BLOCKS)

    def score(told: Told, reached: np.ndarray):
        return follow_score(follow, told, SPEC.action_hz, times, reached)

    right, wrong = (score(Told.throughout(Asked(block), ticks), on_red) for block in BLOCKS)
    assert right.on_target == right.near == 1.0
    assert (right.error, right.other_error) == (wrong.other_error, wrong.error)
    # Whoever is near one block is never near the other: they keep twice that distance.
    assert wrong.on_target == wrong.near == 0.0
    assert wrong.error >= 2 * near - 4e-3
    # The tool is where it should be except for the whole of both approaches, which are forgiven ...
    told = Told.of([Asked(block) for block in BLOCKS for _ in range(ticks // 2)])
    approach = round(APPROACH_S * SPEC.action_hz * samples)
    half = ticks * samples // 2
    reached = np.concatenate(
        [on_blue[:approach], on_red[approach:half], on_red[half:][:approach], on_blue[half:][approach:]]
    )
    assert score(told, reached).on_target == 1.0
    # ... but not a sample more, and the mean error has all of it.
    reached[half + approach] = on_red[half + approach]
    missed = score(told, reached)
    assert missed.on_target == pytest.approx(1.0 - 1.0 / (2 * (half - approach)))
    assert missed.error > 0.01


def test_on_target_is_who_is_near_with_the_posture_and_another_posture_is_another_approach():
    follow, ticks = FollowTarget(SPEC, 7), 200
    times = (1 + np.arange(ticks)) / SPEC.action_hz
    half, closed = (follow.goal("red", times, posture) for posture in ("half", "closed"))
    told = Told.throughout(Asked("red", "closed"), ticks)
    right, wrong = (follow_score(follow, told, SPEC.action_hz, times, q) for q in (closed, half))
    assert (right.near, right.on_target, right.posture_error) == (1.0, 1.0, 0.0)
    assert (wrong.near, wrong.on_target, wrong.posture_error) == (1.0, 0.0, pytest.approx(0.5))
    assert right.error == wrong.error
    assert not wrong.success
    switched = replace(told, posture=np.repeat([0, 2], ticks // 2))
    late = np.concatenate([half[: ticks // 2 + 40], closed[ticks // 2 + 40 :]])
    assert follow_score(follow, switched, SPEC.action_hz, times, late).on_target == 1.0
    late[ticks // 2 + 40] = half[ticks // 2 + 40]
    assert follow_score(follow, switched, SPEC.action_hz, times, late).on_target < 1.0


def test_a_run_that_is_all_approach_is_no_success():
    follow = FollowTarget(SPEC, 7)
    times = np.arange(1, 101) / SPEC.command_hz
    told = Told.throughout(Asked("red"), 20)
    score = follow_score(follow, told, SPEC.action_hz, times, follow.goal("red", times))
    assert not score.success
    assert score.error < 2e-3
