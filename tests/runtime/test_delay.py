"""How many ticks are committed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.runtime.delay import DelayEstimator

LATENCIES = st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 1)), min_size=1, max_size=60)


@pytest.mark.parametrize("margin", [0, -1])
def test_a_margin_is_needed(margin: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1 tick, got {margin}"):
        DelayEstimator(20, margin)


def test_before_the_first_measurement_there_is_the_margin() -> None:
    assert DelayEstimator(20, 2).delay() == 2
    assert DelayEstimator(20, 1).delay(0.11) == 4, "an observation that is old already is known to be"


def test_it_grows_at_once() -> None:
    estimator = DelayEstimator(20, 1)
    for _ in range(50):
        estimator.observe(0.0, 0.04)
    assert estimator.delay() == 2
    estimator.observe(0.0, 0.31)
    assert estimator.delay() == 8


def test_it_shrinks_by_one_after_patience_chunks_that_needed_less() -> None:
    estimator = DelayEstimator(20, 1, window=1, patience=3)
    estimator.observe(0.0, 0.24)
    seen = []
    for _ in range(12):
        estimator.observe(0.0, 0.06)
        seen.append(estimator.delay())
    assert seen == [6, 6, 5, 5, 5, 4, 4, 4, 3, 3, 3, 3]


def test_one_slow_chunk_starts_the_patience_anew() -> None:
    estimator = DelayEstimator(20, 1, window=1, patience=3)
    for processing in (0.24, 0.06, 0.06, 0.24, 0.06, 0.06):
        estimator.observe(0.0, processing)
    assert estimator.delay() == 6
    estimator.observe(0.0, 0.06)
    assert estimator.delay() == 5


def test_age_and_processing_add_up() -> None:
    estimator = DelayEstimator(10, 1)
    estimator.observe(0.05, 0.18)
    assert estimator.latency_s() == pytest.approx(0.23)
    assert estimator.delay() == 4
    assert estimator.latency_s(0.12) == pytest.approx(0.30)
    assert estimator.delay(0.30) == 6


@given(LATENCIES, st.integers(1, 100))
def test_it_is_the_upper_quantile_or_the_newest(latencies: list[tuple[float, float]], window: int) -> None:
    estimator = DelayEstimator(20, 1, window=window)
    for age, processing in latencies:
        estimator.observe(age, processing)
    kept = np.array(latencies[-window:])
    expected = np.maximum(np.quantile(kept, 0.99, axis=0), kept[-1])
    assert estimator.latency_s() == pytest.approx(expected.sum(), rel=1e-9, abs=1e-12)


@given(LATENCIES)
def test_longer_latencies_never_lead_to_less(latencies: list[tuple[float, float]]) -> None:
    slow, fast = DelayEstimator(20, 1), DelayEstimator(20, 1)
    for age, processing in latencies:
        slow.observe(age, processing + 0.05)
        fast.observe(age, processing)
        assert slow.delay() >= fast.delay()
