"""Commit, stitch and mend as formulas."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.runtime.chunking import largest_delay, late_seam_fade, postfix_needed, required_delay, stitch_row


@pytest.mark.parametrize(
    ("latency_s", "expected"), [(0.0, 1), (0.001, 2), (0.05, 2), (0.0501, 3), (0.1, 3), (0.15, 4), (0.3, 7)]
)
def test_required_delay_at_20_hz(latency_s: float, expected: int) -> None:
    assert required_delay(latency_s, 20, 1) == expected


@given(st.integers(0, 2_000_000), st.sampled_from([10, 15, 20, 30, 50]), st.integers(0, 999_999))
def test_required_delay_covers_wherever_the_observation_falls(latency_us: int, hz: int, into_tick: int) -> None:
    delay = required_delay(latency_us / 1e6, hz, 1)
    observed = Fraction(into_tick, 1_000_000)
    ready = observed + Fraction(latency_us * hz, 1_000_000)
    assert ready < delay, "the tick of row d has begun before the chunk was there"
    assert delay <= Fraction(latency_us * hz, 1_000_000) + 2, "more than needed"


def test_the_postfix_lasts_until_the_next_chunk() -> None:
    assert postfix_needed(5, 2) == 5
    assert postfix_needed(1, 4) == 4


@given(st.integers(1, 64), st.integers(0, 64), st.integers(0, 64))
def test_the_largest_delay_is_the_largest_that_fits(length: int, postfix: int, trained: int) -> None:
    def fits(delay: int) -> bool:
        return delay + postfix_needed(delay, postfix) <= length and delay <= trained

    largest = largest_delay(length, postfix, trained)
    assert largest == max((d for d in range(length + 1) if fits(d)), default=0)


@pytest.mark.parametrize(("cursor", "first"), [(9, 4), (10, 4), (13, 4), (14, 5), (20, 11)])
def test_a_chunk_is_stitched_at_d_or_where_no_tick_has_begun(cursor: int, first: int) -> None:
    assert stitch_row(4, 10, cursor) == first


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 1)), min_size=1, max_size=7),
    st.integers(1, 32),
)
def test_a_shift_fades_to_nothing_in_small_steps(joints: list[tuple[float, float]], rows: int) -> None:
    shift, step = np.array(joints).T
    fade = late_seam_fade(shift, step, rows)
    assert fade.shape == (rows,)
    assert fade[-1] == 0.0
    changes = np.diff(np.concatenate([[1.0], fade]))
    assert (changes <= 0).all()
    allowed = np.maximum(0.5 * step, np.abs(shift) / rows)
    assert (np.abs(changes[:, None] * shift) <= allowed + 1e-12).all()
    needed = np.ceil(np.max(np.abs(shift) / (0.5 * step)))
    assert np.count_nonzero(fade) <= max(0, needed - 1), "it fades longer than it must"


def test_without_a_shift_nothing_is_added() -> None:
    assert not late_seam_fade(np.zeros(3), np.ones(3), 5).any()
