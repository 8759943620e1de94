"""What is refused before the robot moves, and what the refusal says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.runtime.admission import admit
from unichunk.runtime.chunking import postfix_needed
from unichunk.runtime.errors import AdmissionError


def test_the_refusal_names_the_numbers_and_the_ways_out() -> None:
    with pytest.raises(AdmissionError) as refusal:
        admit(delay=11, latency_s=0.48, chunk_length=16, minimum_postfix=2, trained_delay=16, action_hz=20)
    text = str(refusal.value)
    for part in ("480 ms", "20 Hz", "d = 11", "11 + 11 = 22", "T = 16", "largest d is 8 (400 ms", "faster engine"):
        assert part in text
    assert "\n" not in text


def test_a_prefix_longer_than_trained_is_refused() -> None:
    with pytest.raises(AdmissionError, match="trained with prefixes of at most 3 rows"):
        admit(delay=4, latency_s=0.15, chunk_length=16, minimum_postfix=2, trained_delay=3, action_hz=20)


@given(st.integers(0, 64), st.integers(1, 64), st.integers(0, 16), st.integers(0, 64))
def test_exactly_what_fits_is_admitted(delay: int, length: int, postfix: int, trained: int) -> None:
    fits = delay + postfix_needed(delay, postfix) <= length and delay <= trained
    numbers = {"latency_s": 0.1, "action_hz": 20}
    try:
        admit(delay=delay, chunk_length=length, minimum_postfix=postfix, trained_delay=trained, **numbers)
        admitted = True
    except AdmissionError:
        admitted = False
    assert admitted == fits or delay == 0
