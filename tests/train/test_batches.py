"""Batches mix robots: the slots of all, zero where they are not a robot's own, each robot its share."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from hypothesis import given
from hypothesis import strategies as st

from unichunk.runtime.train.batches import BatchSampler, Source, apportioned
from unichunk.runtime.train.delays import DelayDistribution
from unichunk.runtime.train.samples import RobotSampler, TrainingData

ROWS = 6


def source(name: str, slots: tuple[int, ...], tokens: int, share: float) -> Source:
    random = np.random.default_rng(len(slots))
    width, count = len(slots), 30
    data = TrainingData(
        slots=slots,
        images=random.integers(0, 255, (count, 4, 6, 3), dtype=np.uint8),
        state=random.uniform(1, 2, (count, width)).astype(np.float32),
        goals=random.uniform(1, 2, (count, 2, 3, width)).astype(np.float32),
        followed=np.zeros((count, 2), dtype=np.int64),
        rows=random.uniform(1, 2, (1, 40, width)).astype(np.float32),
        episode=np.zeros(count, dtype=np.int64),
        tick=np.arange(count),
        most_locked=np.full(count, 4),
        tokens=np.ones((2, 3, 4, tokens), dtype=np.int64),
        plan=lambda last, goal: np.linspace(last, goal, ROWS, axis=1, dtype=np.float32),
    )
    return Source(name, data, DelayDistribution(20, max_delay=4), share)


ARM, HANDS = source("arm", (50, 51, 18), 5, 1.0), source("hands", (20, 50, 21, 22), 3, 3.0)


def test_robots_come_in_their_shares_and_in_their_own_slots():
    sampler = BatchSampler([ARM, HANDS], 8, 2, np.random.default_rng(0))
    assert sampler.names == ("arm", "hands")
    assert sampler.slots == (18, 20, 21, 22, 50, 51)
    assert sampler.counts == (2, 6)
    batch = sampler.batch()
    assert batch.images.shape == (8, 1, 4, 6, 3)
    assert batch.own.int().tolist() == 2 * [[1, 0, 0, 0, 1, 1]] + 6 * [[0, 1, 1, 1, 1, 0]]
    assert ((batch.state > 0) == batch.own).all()
    assert batch.rows.shape == (16, ROWS, 6)
    assert ((batch.rows > 0) == batch.own.repeat_interleave(2, 0)[:, None]).all()
    assert [tuple(places.shape) for places in batch.places] == [(2, 2, 3), (6, 2, 4)]
    assert batch.delay.shape == (16,)
    assert (batch.tokens[:2] == 1).all()
    assert batch.tokens[2:].tolist() == 6 * [[1, 1, 1, -1, -1]]


def test_values_are_those_of_the_robots_samples_slot_by_slot():
    batch = BatchSampler([HANDS], 4, 2, np.random.default_rng(5)).batch()
    samples = RobotSampler(HANDS.data, HANDS.delays, np.random.default_rng(5)).draw(4, 2)
    order = np.argsort(HANDS.data.slots)
    np.testing.assert_array_equal(batch.state.numpy(), samples.state[:, order])
    np.testing.assert_array_equal(batch.rows.numpy(), samples.rows[..., order])
    np.testing.assert_array_equal(batch.places[0].numpy(), samples.places)


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=6), st.integers(6, 100))
def test_shares_become_whole_numbers_that_add_up(shares, whole):
    counts = apportioned(shares, whole)
    assert sum(counts) == whole
    assert min(counts) >= 1
    exact = np.array(shares) / sum(shares) * whole
    if exact.min() >= 1.0:
        assert np.abs(np.array(counts) - exact).max() < 1.0 + 1e-9


@pytest.mark.parametrize("shares", [(1.0, 0.0), (1.0,) * 9])
def test_shares_that_cannot_be_had_are_refused(shares):
    with pytest.raises(ValueError, match="shares"):
        apportioned(shares, 8)
