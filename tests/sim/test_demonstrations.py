"""Demonstrations: late, unsteady, recorded as executed, and no prefix that knows more than it could."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.sim.demonstrations import TICKS, Demonstrations, Recorder
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.exploration import longest_honest_delay, reaction_times, row_noise
from unichunk.embodiments.sim.hover import HoverSolver
from unichunk.embodiments.spec import load_spec

SPEC = load_spec("so101")
SEEDS = (3, 4, 7)


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    recorder = Recorder(SPEC, "third_person", 48, 12)
    recorded = recorder.record(SEEDS)
    recorder.close()
    return recorded


@pytest.mark.simulator
def test_shapes_fit_together(demonstrations):
    observations = len(demonstrations.images)
    assert demonstrations.images.shape == (observations, 48, 48, 3)
    assert demonstrations.images.dtype == np.uint8
    assert demonstrations.q.shape == (observations, 6)
    assert demonstrations.goal.shape == (observations, 2, 6)
    assert demonstrations.followed.shape == (observations,)
    assert demonstrations.rows.shape == (len(SEEDS), TICKS + 1, 6)
    # The row after the longest prefix of every observation exists.
    assert (demonstrations.tick + demonstrations.most_locked < demonstrations.rows.shape[1]).all()
    assert set(demonstrations.episode) == set(range(len(SEEDS)))


@pytest.mark.simulator
def test_equal_seeds_record_equal_episodes_and_files_keep_them(demonstrations, tmp_path):
    recorder = Recorder(SPEC, "third_person", 48, 12)
    again = recorder.record(SEEDS[1:2])
    recorder.close()
    np.testing.assert_array_equal(again.rows[0], demonstrations.rows[1])
    again.save(tmp_path / "demo.npz")
    loaded = Demonstrations.load(tmp_path / "demo.npz")
    of_that_episode = demonstrations.episode == 1
    np.testing.assert_array_equal(loaded.images, demonstrations.images[of_that_episode])
    np.testing.assert_array_equal(loaded.followed, demonstrations.followed[of_that_episode])
    np.testing.assert_array_equal(loaded.goal, demonstrations.goal[of_that_episode])


@pytest.mark.simulator
def test_goals_are_over_the_blocks_that_the_picture_shows(demonstrations):
    """The colours in the picture move as the goals do: blocks and goals are of the same instant, and not mixed up."""
    solver = HoverSolver(SPEC)
    seen = demonstrations.images.astype(int)
    for index, main in ((0, 0), (1, 2)):
        others = [channel for channel in range(3) if channel != main]
        mask = (seen[..., main] > 80) & (seen[..., others] < 75).all(axis=-1)
        enough = mask.sum(axis=(1, 2)) > 15
        assert enough.mean() > 0.8
        columns = (mask * np.arange(48)).sum(axis=(1, 2))[enough] / mask.sum(axis=(1, 2))[enough]
        y = solver.position(demonstrations.goal[:, index])[enough, 1]
        assert np.corrcoef(columns, y)[0, 1] > 0.97


@pytest.mark.simulator
def test_recorded_rows_carry_noise_and_stay_within_limits(demonstrations):
    expert = Expert(SPEC)
    rows = demonstrations.rows[0]
    assert (rows >= SPEC.limits.lower).all()
    assert (rows <= SPEC.limits.upper).all()
    # No standing goal explains a row: what is left of the expert's rule after the best goal is the noise.
    episode = demonstrations.episode == 0
    goals = demonstrations.goal[episode, demonstrations.followed[episode]]
    residual = rows[1:] - expert.next_row(rows[:-1], goals)
    assert residual.std(axis=0).min() > 0.01


@pytest.mark.simulator
def test_demonstrators_follow_what_they_are_told_by_centimetres_and_not_the_other(demonstrations):
    solver = HoverSolver(SPEC)
    tool = solver.position(demonstrations.q)
    distance = np.stack([np.linalg.norm(tool - solver.position(demonstrations.goal[:, i]), axis=1) for i in (0, 1)])
    told, every = demonstrations.followed, np.arange(len(tool))
    assert 0.01 < np.median(distance[told, every]) < 0.08
    assert np.median(distance[1 - told, every]) > 1.5 * np.median(distance[told, every])
    assert set(told) == {0, 1}


@pytest.mark.simulator
def test_one_episode_switches_and_the_demonstrator_goes_over(demonstrations):
    told = demonstrations.followed.reshape(len(SEEDS), TICKS)
    switches = [np.flatnonzero(np.diff(episode)) for episode in told]
    assert {len(switch) for switch in switches} == {0, 1}, "choose seeds with and without a switch"


def test_a_quarter_of_the_episodes_switches_and_both_blocks_are_told_as_often():
    from unichunk.embodiments.sim.demonstrations import _instructions

    told = np.stack([_instructions(np.random.default_rng(seed)) for seed in range(800)])
    switched = (np.diff(told, axis=1) != 0).sum(axis=1)
    assert set(switched) == {0, 1}
    assert switched.mean() == pytest.approx(0.25, abs=0.05)
    assert told[:, 0].mean() == pytest.approx(0.5, abs=0.06)
    assert np.corrcoef(told[:, 0], switched)[0, 1] == pytest.approx(0.0, abs=0.1)


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


@pytest.mark.simulator
def test_the_demonstrator_hears_a_new_instruction_as_late_as_it_sees():
    """What it aims at in tick k was told, and was so, `age` ticks before; else prefixes would know the instruction."""
    from unichunk.embodiments.sim.twin import Twin

    recorder = Recorder(SPEC, "third_person", 16, 12)
    twin = Twin(SPEC, 9)
    twin.reset(time=2.0)
    ages = np.full(TICKS, 10)
    told = np.repeat([0, 1], TICKS // 2)
    goals = recorder._goals(twin, ages, told)
    recorder.close()
    ticks = np.arange(TICKS)
    times = 2.0 + (ticks - 10) / SPEC.action_hz
    half = TICKS // 2
    np.testing.assert_allclose(goals[: half + 10], twin.task.goal("red", np.maximum(times, 0.0))[: half + 10])
    np.testing.assert_allclose(goals[half + 10 :], twin.task.goal("blue", times)[half + 10 :])
