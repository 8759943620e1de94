"""Numbers in words: rounding must never change what a number says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.server.evaluation.report.scale import Scale, decades, power_of_ten
from unichunk.server.evaluation.report.words import (
    iso,
    joined,
    moment,
    number,
    p_equals,
    p_value,
    percent,
    plural,
    points,
    probability,
)
from unichunk.server.evaluation.statistics.document import Difference


@given(p=st.floats(0, 1), alpha=st.sampled_from([0.01, 0.05, 0.1, 0.025]))
def test_a_p_value_is_never_rounded_across_its_level(p: float, alpha: float) -> None:
    text = p_value(p, alpha)
    shown = (
        0.0
        if text == "< 0.001"
        else float(text.replace(" × 10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    )
    assert (shown <= alpha) == (p <= alpha)
    assert shown == pytest.approx(p, rel=0.01, abs=0.001)


def test_a_p_value_just_above_its_level_is_shown_above_it() -> None:
    assert p_value(0.05001, 0.05) == "0.05001"
    assert p_value(0.05, 0.05) == "0.05"
    assert p_equals(0.0001, 0.05) == "p\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}0.001"
    assert p_value(None, 0.05) == "–"


@given(value=st.floats(0, 1))
def test_a_posterior_is_never_certain(value: float) -> None:
    assert probability(value) not in {"0.000", "1.000"}
    assert [probability(share) for share in (0.0004, 0.9996, 0.5)] == ["< 0.001", "> 0.999", "0.500"]


def test_percentages_have_a_decimal_where_there_are_trials_enough() -> None:
    assert percent(0.6667) == "67%"
    assert percent(0.6667, 300) == "66.7%"
    assert percent(None) == "–"


def test_numbers_have_true_minus_signs_and_powers() -> None:
    assert number(-0.25) == "−0.25"
    assert number(1.5e-9) == "1.5 × 10⁻⁹"
    assert number(12345678.0) == "1.23 × 10⁷"


@pytest.mark.parametrize(("share", "text"), [(0.244, "+24 points"), (-0.1, "−10 points"), (0.001, "0 points")])
def test_differences_are_in_points(share: float, text: str) -> None:
    assert points(Difference(estimate=share, interval=None)) == text


def test_times_are_those_of_the_log() -> None:
    assert moment(1_700_000_000_000_000_000) == "2023-11-14 22:13:20 UTC"
    assert iso(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"
    assert iso(0) == ""


def test_lists_and_amounts_read_like_sentences() -> None:
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined(["a"]) == "a"
    assert [plural(amount, "trial") for amount in (0, 1, 2)] == ["no trials", "1 trial", "2 trials"]


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), about=st.integers(2, 10))
def test_ticks_are_in_range_and_not_too_many(low: float, width: float, about: int) -> None:
    scale = Scale(low, low + width, 0, 100)
    ticks = scale.ticks(about)
    assert len(ticks) <= about + 1
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)


@given(low=st.floats(-300, 0), high=st.floats(0, 300))
def test_decades_include_one(low: float, high: float) -> None:
    exponents = decades(low, high)
    assert 0 in exponents
    assert len(exponents) <= 8


def test_powers_of_ten_are_short() -> None:
    assert [power_of_ten(exponent) for exponent in (-4, -2, 0, 3, 6)] == ["10⁻⁴", "0.01", "1", "1,000", "10⁶"]
