"""Demonstrations: late, unsteady, recorded as executed, and no prefix that knows more than it could."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.sim.demonstrations import Demonstrations, Recorder
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.exploration import longest_honest_delay, reaction_times, row_noise
from unichunk.embodiments.sim.hover import HoverSolver
from unichunk.embodiments.spec import load_spec

SPEC = load_spec("so101")


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    recorder = Recorder(SPEC, "third_person", (48, 36), 12)
    recorded = recorder.record([1, 2])
    recorder.close()
    return recorded


@pytest.mark.simulator
def test_shapes_fit_together(demonstrations):
    observations = len(demonstrations.images)
    assert demonstrations.images.shape == (observations, 36, 48, 3)
    assert demonstrations.q.shape == demonstrations.goal.shape == (observations, 6)
    assert demonstrations.rows.shape[0] == 2
    # The row after the longest prefix of every observation exists.
    assert (demonstrations.tick + demonstrations.most_locked < demonstrations.rows.shape[1]).all()
    assert set(demonstrations.episode) == {0, 1}


@pytest.mark.simulator
def test_equal_seeds_record_equal_episodes_and_files_keep_them(demonstrations, tmp_path):
    recorder = Recorder(SPEC, "third_person", (48, 36), 12)
    again = recorder.record([2])
    recorder.close()
    np.testing.assert_array_equal(again.rows[0], demonstrations.rows[1])
    again.save(tmp_path / "demo.npz")
    loaded = Demonstrations.load(tmp_path / "demo.npz")
    np.testing.assert_array_equal(loaded.images, demonstrations.images[demonstrations.episode == 1])


@pytest.mark.simulator
def test_recorded_rows_carry_noise_and_stay_within_limits(demonstrations):
    expert = Expert(SPEC)
    rows = demonstrations.rows[0]
    assert (rows >= SPEC.limits.lower).all()
    assert (rows <= SPEC.limits.upper).all()
    # No standing goal explains a row: what is left of the expert's rule after the best goal is the noise.
    goals = demonstrations.goal[demonstrations.episode == 0]
    residual = rows[1:] - expert.next_row(rows[:-1], goals)
    assert residual.std(axis=0).min() > 0.01


@pytest.mark.simulator
def test_demonstrators_are_off_the_target_by_centimetres_but_follow_it(demonstrations):
    solver = HoverSolver(SPEC)
    distance = np.linalg.norm(solver.position(demonstrations.q) - solver.position(demonstrations.goal), axis=1)
    assert 0.01 < np.median(distance) < 0.08


def test_reaction_times_and_noise_have_the_sizes_they_claim():
    random = np.random.default_rng(0)
    ages = np.concatenate([reaction_times(random, 160) for _ in range(200)])
    assert ages.min() == 0
    assert ages.max() >= 24
    noise = np.concatenate([row_noise(random, 160, 6) for _ in range(50)])
    assert 0.025 < noise.std() < 0.05
    correlation = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert 0.5 < correlation < 0.95


def test_a_prefix_never_saw_what_an_older_chunk_could_not_have_seen():
    random = np.random.default_rng(5)
    for _ in range(50):
        ages = reaction_times(random, 160)
        for tick in random.integers(0, 160, 20):
            delay = longest_honest_delay(ages, int(tick), 12)
            rows = np.arange(tick, tick + delay)
            assert rows.size == 0 or rows[-1] < 160
            assert (rows - ages[rows] <= tick - delay).all()


def test_a_prompt_demonstrator_allows_no_prefix_and_a_late_one_the_longest():
    assert longest_honest_delay(np.zeros(160, dtype=np.int64), 50, 12) == 0
    assert longest_honest_delay(np.full(160, 23), 50, 12) == 12
    assert longest_honest_delay(np.full(160, 22), 50, 12) == 11
