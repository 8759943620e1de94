"""Training rows: executed up to the delay, planned from there, and long prefixes only where they are honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.train.delays import DelayDistribution
from unichunk.runtime.train.samples import RobotSampler, TrainingData, training_rows

ROWS = 6


def plan(last, goal):
    """Half of the way in each row."""
    planned = []
    for _ in range(ROWS):
        last = last + 0.5 * (goal - last)
        planned.append(last)
    return np.stack(planned, axis=1)


@pytest.fixture
def data() -> TrainingData:
    random = np.random.default_rng(0)
    observations = 40
    return TrainingData(
        slots=(50, 18),
        images=random.integers(0, 255, (observations, 4, 6, 3), dtype=np.uint8),
        state=random.standard_normal((observations, 2)).astype(np.float32),
        goals=random.standard_normal((observations, 2, 3, 2)).astype(np.float32),
        followed=np.stack([random.integers(0, 2, observations), random.integers(0, 3, observations)], axis=1),
        rows=random.standard_normal((2, 31, 2)).astype(np.float32),
        episode=np.repeat([0, 1], 20),
        tick=np.tile(np.arange(20), 2),
        most_locked=random.integers(0, 5, observations),
        tokens=np.arange(90).reshape(2, 3, 3, 5),
        plan=plan,
    )


@pytest.mark.parametrize("delay", [0, 1, 4])
def test_rows_are_executed_before_the_delay_and_planned_from_the_last_of_them(data, delay):
    index = np.array([3, 27])
    goal = data.goals[index, [1, 0], [2, 0]]
    rows = training_rows(data, index, goal, np.full(2, delay))
    for sample, (episode, tick) in enumerate([(0, 3), (1, 7)]):
        executed = data.rows[episode, 1:]  # tick k executed row k + 1
        np.testing.assert_array_equal(rows[sample, :delay], executed[tick : tick + delay])
        before = data.rows[episode, tick + delay]
        expected = plan(before[None], goal[sample][None])[0, : ROWS - delay]
        np.testing.assert_allclose(rows[sample, delay:], expected, atol=1e-6)


@pytest.mark.parametrize("longest", [4, 2])
def test_samples_lock_no_more_than_an_observation_allows_and_use_every_delay(data, longest):
    """Also where the recording allows none of the longest prefixes."""
    data = replace(data, most_locked=np.minimum(data.most_locked, longest))
    sampler = RobotSampler(data, DelayDistribution(20, max_delay=4), np.random.default_rng(2))
    allowed = {tuple(state): most for state, most in zip(data.state.tolist(), data.most_locked, strict=True)}
    seen = set()
    for _ in range(20):
        samples = sampler.draw(16, 3)
        assert samples.rows.shape == (48, ROWS, 2)
        assert samples.images.shape == (16, 4, 6, 3)
        for state, drawn in zip(samples.state.tolist(), samples.delay.reshape(16, 3).tolist(), strict=True):
            assert max(drawn) <= allowed[tuple(state)]
            seen |= set(drawn)
    assert seen == set(range(longest + 1))


def test_a_state_that_is_rolled_forward_is_that_of_the_samples_own_delay(data):
    """All draws of an observation share it: they share the state."""

    def expected(index, delay):
        return np.stack([index, delay], axis=1).astype(np.float32)

    sampler = RobotSampler(
        replace(data, expected=expected), DelayDistribution(20, max_delay=4), np.random.default_rng(2)
    )
    seen = set()
    for _ in range(20):
        samples = sampler.draw(16, 3)
        index, told = samples.state.astype(int).T
        np.testing.assert_array_equal(samples.images, data.images[index])
        assert (told <= data.most_locked[index]).all()
        assert (samples.delay.reshape(16, 3) == told[:, None]).all()
        seen |= set(told.tolist())
    assert seen == {0, 1, 2, 3, 4}


def test_the_plan_goes_where_the_instruction_says_and_that_is_not_always_where_the_prefix_went(data):
    sampler = RobotSampler(data, DelayDistribution(20, max_delay=4), np.random.default_rng(2))
    index_of = {tuple(state): index for index, state in enumerate(data.state.tolist())}
    otherwise = []
    for _ in range(60):
        samples = sampler.draw(16, 3)
        for sample, (state, tokens) in enumerate(zip(samples.state.tolist(), samples.tokens.tolist(), strict=True)):
            index = index_of[tuple(state)]
            place, posture = divmod(tokens[0] // 15, 3)
            assert tokens in data.tokens[place, posture].tolist()
            np.testing.assert_array_equal(samples.places[sample], data.goals[index, :, 0])
            for draw in range(3 * sample, 3 * sample + 3):
                delay = samples.delay[draw]
                before = data.rows[data.episode[index], data.tick[index] + delay]
                expected = plan(before[None], data.goals[index, place, posture][None])[0, : ROWS - delay]
                np.testing.assert_allclose(samples.rows[draw, delay:], expected, atol=1e-6)
            otherwise.append([place, posture] != data.followed[index])
    assert (np.abs(np.mean(otherwise, axis=0) - 0.3) < 0.06).all()
