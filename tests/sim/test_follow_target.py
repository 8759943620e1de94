"""The follow task: where the tool should be, how that is scored, and what the expert makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.sim.block_paths import BLOCKS, REGION_X, REGION_Y
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.follow_score import APPROACH_S, NEAR, follow_score
from unichunk.embodiments.sim.follow_target import HOVER_HEIGHT, FollowTarget
from unichunk.embodiments.sim.instruction import InstructionUnclear, named_block
from unichunk.embodiments.sim.reference import expert_score, no_motion_score, reference_errors
from unichunk.embodiments.sim.twin import Twin
from unichunk.embodiments.spec import load_spec

SPEC = load_spec("so101")


def test_the_hover_point_is_over_the_block_that_is_named():
    task = FollowTarget(SPEC, 3)
    times = np.linspace(0.0, 30.0, 40)
    for block in BLOCKS:
        over = task.hover_point(block, times)
        np.testing.assert_array_equal(over[:, :2], task.paths.position(block, times))
        assert (over[:, 2] == HOVER_HEIGHT).all()
        assert np.linalg.norm(task.solver.position(task.goal(block, times)) - over, axis=-1).max() < 2e-3


def test_the_hover_point_is_within_reach_everywhere():
    task = FollowTarget(SPEC, 0)
    x, y = np.meshgrid(np.linspace(*REGION_X, 15), np.linspace(*REGION_Y, 15))
    points = np.stack([x, y, np.full_like(x, HOVER_HEIGHT)], axis=-1)
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


@pytest.mark.parametrize("block", BLOCKS)
def test_the_expert_follows_closely_and_no_motion_does_not(block):
    error = reference_errors(SPEC, 101, block, 15.0, SPEC.rest)
    assert error["expert_error_m"] < 0.015
    assert error["no_motion_error_m"] > 4 * error["expert_error_m"]
    assert error == reference_errors(SPEC, 101, block, 15.0, SPEC.rest)


def test_a_run_may_start_anywhere_on_the_path():
    early, late = (reference_errors(SPEC, 101, "red", 4.0, SPEC.rest, start) for start in (0.0, 7.5))
    assert early["no_motion_error_m"] != late["no_motion_error_m"]
    assert late["expert_error_m"] < 0.03


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_success_is_what_the_expert_has_and_no_motion_has_not(seed):
    twin = Twin(SPEC, seed)
    named = np.repeat([0, 1], 150)
    expert, still = expert_score(twin, named, SPEC.rest), no_motion_score(twin, named, SPEC.rest)
    assert expert.success
    assert expert.on_target > 0.95
    assert expert.other_error > 5 * expert.error
    assert not still.success


def test_a_score_counts_from_the_end_of_every_approach():
    task = FollowTarget(SPEC, 7)
    ticks, samples = 200, 5
    times = (1 + np.arange(ticks * samples)) / SPEC.command_hz
    on_red, on_blue = (task.goal(block, times) for block in BLOCKS)
    red, blue = np.zeros(ticks, np.int64), np.ones(ticks, np.int64)
    right, wrong = (follow_score(task, named, SPEC.action_hz, times, on_red) for named in (red, blue))
    assert right.on_target == 1.0
    assert (right.error, right.other_error) == (wrong.other_error, wrong.error)
    # Whoever is near one block is never near the other: they keep twice that distance.
    assert wrong.on_target == 0.0
    assert wrong.error >= 2 * NEAR - 4e-3
    # The tool is where it should be except for the whole of both approaches, which are forgiven ...
    named = np.repeat([0, 1], ticks // 2)
    approach = round(APPROACH_S * SPEC.action_hz * samples)
    half = ticks * samples // 2
    reached = np.concatenate(
        [on_blue[:approach], on_red[approach:half], on_red[half:][:approach], on_blue[half:][approach:]]
    )
    assert follow_score(task, named, SPEC.action_hz, times, reached).on_target == 1.0
    # ... but not a sample more, and the mean error has all of it.
    reached[half + approach] = on_red[half + approach]
    score = follow_score(task, named, SPEC.action_hz, times, reached)
    assert score.on_target == pytest.approx(1.0 - 1.0 / (2 * (half - approach)))
    assert score.error > 0.01


def test_a_run_that_is_all_approach_is_no_success():
    task = FollowTarget(SPEC, 7)
    times = np.arange(1, 101) / SPEC.command_hz
    score = follow_score(task, np.zeros(20, np.int64), SPEC.action_hz, times, task.goal("red", times))
    assert not score.success
    assert score.error < 2e-3


@pytest.mark.parametrize(
    ("instruction", "block"),
    [
        ("follow the red block", "red"),
        ("Follow the BLUE block!", "blue"),
        ("red", "red"),
        ("hover over the blue_cube, then blue again: blue.", "blue"),
        ("not the reddish one, the blue one", "blue"),
    ],
)
def test_an_instruction_names_a_block(instruction, block):
    assert named_block(instruction) == block


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("follow the block", "neither"),
        ("", "neither"),
        ("be bored, it is already covered", "neither"),
        ("follow the red block, not the blue one", "both"),
        ("x" * 5000, "neither"),
        ("two\nlines", "neither"),
    ],
)
def test_an_instruction_that_names_no_block_or_both_is_refused(instruction, words):
    with refused(InstructionUnclear, words, "red or blue", "follow the red block"):
        named_block(instruction)
