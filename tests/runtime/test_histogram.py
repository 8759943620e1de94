"""Percentiles from bins."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from unichunk.runtime.histogram import TimeHistogram


def test_empty() -> None:
    histogram = TimeHistogram()
    assert (histogram.samples, histogram.percentile(0.99), histogram.maximum) == (0, 0.0, 0.0)


def test_early_wakings_count_as_zero() -> None:
    histogram = TimeHistogram()
    histogram.add(-5_000)
    assert (histogram.samples, histogram.percentile(1.0), histogram.maximum) == (1, 0.0, 0.0)


def test_the_largest_is_kept_exactly_however_long() -> None:
    histogram = TimeHistogram(bins=10)
    for nanoseconds in (1_500, 3_000, 123_456_789):
        histogram.add(nanoseconds)
    assert histogram.maximum == 123_456.789
    assert histogram.percentile(0.5) == 3.0
    assert histogram.percentile(1.0) == 123_456.789


@given(
    st.lists(st.integers(0, 150_000), min_size=1, max_size=80),
    st.sampled_from([0.5, 0.95, 0.99, 0.999, 1.0]),
    st.sampled_from([1, 10]),
)
def test_a_percentile_is_right_to_one_bin(times: list[int], fraction: float, width_us: int) -> None:
    histogram = TimeHistogram(width_us, 1000)
    for nanoseconds in times:
        histogram.add(nanoseconds)
    exact = sorted(times)[max(0, math.ceil(fraction * len(times) - 1e-9) - 1)] / 1000
    assert abs(histogram.percentile(fraction) - exact) <= width_us
    assert histogram.samples == len(times)
