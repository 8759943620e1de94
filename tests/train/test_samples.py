"""Training rows: executed up to the delay, planned from there, and long prefixes only where they are honest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.train.delays import DelayDistribution
from unichunk.runtime.train.samples import BatchSampler, TrainingData, training_rows

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
        images=random.integers(0, 255, (observations, 4, 6, 3), dtype=np.uint8),
        state=random.standard_normal((observations, 2)).astype(np.float32),
        goals=random.standard_normal((observations, 2, 2)).astype(np.float32),
        followed=random.integers(0, 2, observations),
        rows=random.standard_normal((2, 31, 2)).astype(np.float32),
        episode=np.repeat([0, 1], 20),
        tick=np.tile(np.arange(20), 2),
        most_locked=random.integers(0, 5, observations),
        tokens=np.arange(30).reshape(2, 3, 5),
        plan=plan,
    )


@pytest.mark.parametrize("delay", [0, 1, 4])
def test_rows_are_executed_before_the_delay_and_planned_from_the_last_of_them(data, delay):
    index, goal = np.array([3, 27]), np.array([1, 0])
    rows = training_rows(data, index, goal, np.full(2, delay))
    for sample, (episode, tick) in enumerate([(0, 3), (1, 7)]):
        executed = data.rows[episode, 1:]  # tick k executed row k + 1
        np.testing.assert_array_equal(rows[sample, :delay], executed[tick : tick + delay])
        before = data.rows[episode, tick + delay]
        expected = plan(before[None], data.goals[index[sample], goal[sample]][None])[0, : ROWS - delay]
        np.testing.assert_allclose(rows[sample, delay:], expected, atol=1e-6)


def test_batches_lock_no_more_than_an_observation_allows_and_use_every_delay(data):
    delays = DelayDistribution(20, max_delay=4)
    sampler = BatchSampler(data, delays, 16, 3, np.random.default_rng(2))
    allowed = {tuple(state): most for state, most in zip(data.state.tolist(), data.most_locked, strict=True)}
    seen = set()
    for _ in range(20):
        batch = sampler.batch()
        assert batch.rows.shape == (48, ROWS, 2)
        assert batch.images.shape == (16, 1, 4, 6, 3)
        for state, drawn in zip(batch.state.tolist(), batch.delay.reshape(16, 3).tolist(), strict=True):
            assert max(drawn) <= allowed[tuple(state)]
            seen |= set(drawn)
    assert seen == {0, 1, 2, 3, 4}


def test_the_plan_goes_where_the_instruction_says_and_that_is_not_always_where_the_prefix_went(data):
    sampler = BatchSampler(data, DelayDistribution(20, max_delay=4), 16, 3, np.random.default_rng(2))
    place = {tuple(state): index for index, state in enumerate(data.state.tolist())}
    told_otherwise, count = 0, 0
    for _ in range(40):
        batch = sampler.batch()
        for sample, (state, tokens) in enumerate(zip(batch.state.tolist(), batch.tokens.tolist(), strict=True)):
            index = place[tuple(state)]
            asked = tokens[0] // 15
            assert tokens in data.tokens[asked].tolist()
            rows, delay = batch.rows[3 * sample].numpy(), int(batch.delay[3 * sample])
            before = data.rows[data.episode[index], data.tick[index] + delay]
            expected = plan(before[None], data.goals[index, asked][None])[0, : ROWS - delay]
            np.testing.assert_allclose(rows[delay:], expected, atol=1e-6)
            told_otherwise += asked != data.followed[index]
            count += 1
    assert 0.2 < told_otherwise / count < 0.4
