"""Intervals and tests of rates against published examples, and against scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import barnard_exact, binom, chi2_contingency, fisher_exact
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests

from unichunk.server.evaluation.statistics.all_tables import cmh_table, fisher_table, rejection_probability
from unichunk.server.evaluation.statistics.barnard import barnard_p, barnard_table, score_table
from unichunk.server.evaluation.statistics.counts import Counts
from unichunk.server.evaluation.statistics.exact_pairs import barnard, fisher
from unichunk.server.evaluation.statistics.holm import holm
from unichunk.server.evaluation.statistics.holm_many import holm_rejects
from unichunk.server.evaluation.statistics.intervals import difference_of, rate_of
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh, cmh_statistic, exact_stratified
from unichunk.server.evaluation.statistics.odds_ratio import breslow_day, common_odds_ratio

# Admissions to Berkeley by department, men and women (Bickel, Hammel & O'Connell 1975).
BERKELEY = Counts(
    ("men", "women"),
    tuple("ABCDEF"),
    np.array([[512, 353, 120, 138, 53, 22], [89, 17, 202, 131, 94, 24]]),
    np.array([[825, 560, 325, 417, 191, 373], [108, 25, 593, 375, 393, 341]]),
)
# Rabbits that got penicillin at once or later, by dose (Mantel & Haenszel; the example of R's mantelhaen.test).
RABBITS = Counts(
    ("none", "1.5 h"),
    ("1/8", "1/4", "1/2", "1", "4"),
    np.array([[0, 3, 6, 5, 2], [0, 0, 2, 6, 5]]),
    np.array([[6, 6, 6, 6, 2], [5, 6, 6, 6, 5]]),
)


@pytest.mark.parametrize(
    ("successes", "trials", "wilson", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_of_a_rate_are_those_that_newcombe_published(
    successes: int, trials: int, wilson: tuple[float, float], exact: tuple[float, float]
) -> None:
    rate = rate_of(successes, trials, 0.95)
    assert rate.wilson is not None
    assert rate.clopper_pearson is not None
    assert (rate.wilson.low, rate.wilson.high) == pytest.approx(wilson, abs=5e-5)
    assert (rate.clopper_pearson.low, rate.clopper_pearson.high) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "interval"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_the_interval_of_a_difference_is_the_one_that_newcombe_published(
    first: tuple[int, int], second: tuple[int, int], interval: tuple[float, float]
) -> None:
    found = difference_of(first, second, 0.95)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(interval, abs=5e-5)


@given(trials=st.integers(1, 60), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
@settings(max_examples=60, deadline=None)
def test_every_interval_holds_its_estimate_and_stays_in_bounds(trials: int, share: float, confidence: float) -> None:
    successes = round(share * trials)
    rate = rate_of(successes, trials, confidence)
    assert rate.rate is not None
    assert rate.wilson is not None
    assert rate.clopper_pearson is not None
    for interval in (rate.wilson, rate.clopper_pearson):
        assert 0 <= interval.low <= rate.rate + 1e-12
        assert rate.rate - 1e-12 <= interval.high <= 1
    there = difference_of((successes, trials), (trials // 2, trials), confidence)
    back = difference_of((trials // 2, trials), (successes, trials), confidence)
    assert there.interval is not None
    assert back.interval is not None
    assert there.interval.low == pytest.approx(-back.interval.high, abs=1e-9)
    assert -1 <= there.interval.low <= there.interval.high <= 1


def test_no_trials_have_no_rate() -> None:
    assert rate_of(0, 0, 0.95).wilson is None
    assert difference_of((0, 0), (1, 2), 0.95).estimate is None


def test_the_pooled_test_of_berkeley_is_the_published_one() -> None:
    ratio = common_odds_ratio(BERKELEY, 0.95, 0.05)
    assert ratio.estimate == pytest.approx(0.9046968, abs=1e-7)
    assert ratio.interval is not None
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((0.7719074, 1.0603298), abs=1e-6)
    assert ratio.homogeneity.rejects, "department A admits women more often, the others do not"
    tested = cmh(BERKELEY)
    tables = np.stack([BERKELEY.successes, BERKELEY.trials - BERKELEY.successes], axis=1).astype(float)
    theirs = StratifiedTable(tables).test_null_odds(correction=False)
    assert tested.statistic == pytest.approx(theirs.statistic)
    assert tested.p == pytest.approx(theirs.pvalue)
    assert tested.degrees == 1


def test_the_exact_stratified_test_of_the_rabbits_is_the_published_one() -> None:
    assert exact_stratified(RABBITS).p == pytest.approx(0.03994, abs=5e-6)
    ratio = common_odds_ratio(RABBITS, 0.95, 0.05)
    assert ratio.estimate == pytest.approx(7.0)
    assert ratio.interval is not None
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((1.026713, 47.725133), abs=1e-5)
    assert "2 of 5 layouts say nothing" in cmh(RABBITS).note


cells = st.integers(1, 4).flatmap(
    lambda layouts: st.tuples(
        *[st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=3)] * layouts
    )
)


def _counts(drawn: tuple[list[tuple[int, int]], ...], policies: int) -> Counts:
    table = np.array(drawn)[:, :policies].transpose(2, 1, 0)
    names = tuple(f"p{row}" for row in range(policies))
    return Counts(names, tuple(map(str, range(len(drawn)))), table[0], table.sum(axis=0))


@given(drawn=cells)
@settings(max_examples=100, deadline=None)
def test_pairs_are_tested_as_statsmodels_does_it(drawn: tuple[list[tuple[int, int]], ...]) -> None:
    counts = _counts(drawn, 2)
    tested, exact = cmh(counts), exact_stratified(counts)
    tables = np.stack([counts.successes, counts.trials - counts.successes], axis=1).astype(float)
    telling = tables[:, :, (tables.sum(axis=0) > 0).all(axis=0) & (tables.sum(axis=1) > 0).all(axis=0)]
    if telling.shape[2] == 0:
        assert tested.p is None
        assert tested.note
    else:
        theirs = StratifiedTable(telling).test_null_odds(correction=False)
        assert tested.statistic == pytest.approx(float(theirs.statistic), abs=1e-9)
        assert exact.p is not None
        assert 0 < exact.p <= 1
    assert (exact.p is None) == bool((counts.trials.sum(axis=1) == 0).any())


@given(drawn=cells, order=st.permutations([0, 1, 2]))
@settings(max_examples=100, deadline=None)
def test_the_order_of_policies_does_not_matter(drawn: tuple[list[tuple[int, int]], ...], order: list[int]) -> None:
    counts = _counts(drawn, 3)
    ours = cmh_statistic(counts.successes, counts.trials)
    theirs = cmh_statistic(counts.successes[order], counts.trials[order])
    assert np.isnan(ours) == np.isnan(theirs)
    assert np.isnan(ours) or ours == pytest.approx(float(theirs), rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=5))
@settings(max_examples=50, deadline=None)
def test_one_layout_gives_the_chi_square_of_pearson_but_for_its_divisor(policies: list[tuple[int, int]]) -> None:
    table = np.array(policies)
    total = table.sum()
    pearson = chi2_contingency(table, correction=False).statistic
    ours = cmh_statistic(table[:, :1], table.sum(axis=1, keepdims=True))
    assert float(ours) == pytest.approx(pearson * (total - 1) / total, abs=1e-9)


def test_the_covariance_over_layouts_is_that_of_dealing_successes_out() -> None:
    # By simulation of the null: successes of each layout dealt out at random to three policies.
    random = np.random.default_rng(0)
    trials = np.array([[3, 6], [5, 2], [4, 4]])
    dealt = np.stack(
        [
            random.multivariate_hypergeometric(trials[:, column], total, size=10_000)
            for column, total in enumerate((5, 7))
        ],
        axis=-1,
    )
    statistic = cmh_statistic(dealt, trials)
    assert statistic.mean() == pytest.approx(2.0, abs=0.08)
    successes = dealt.sum(axis=-1)
    expected = (trials * np.array([5, 7]) / trials.sum(axis=0)).sum(axis=1)
    by_hand = np.cov(successes[:, :2].T)
    away = successes[:, :2] - expected[:2]
    assert np.einsum("si,ij,sj->s", away, np.linalg.inv(by_hand), away) == pytest.approx(statistic, rel=0.1, abs=0.1)


@given(drawn=cells)
@settings(max_examples=60, deadline=None)
def test_layouts_agree_about_the_odds_ratio_as_statsmodels_says(drawn: tuple[list[tuple[int, int]], ...]) -> None:
    counts = _counts(drawn, 2)
    ratio = common_odds_ratio(counts, 0.95, 0.05)
    if ratio.estimate is None or ratio.homogeneity.statistic is None or ratio.estimate == pytest.approx(1.0):
        return
    tables = np.stack([counts.successes, counts.trials - counts.successes], axis=1).astype(float)
    telling = tables[:, :, (tables.sum(axis=0) > 0).all(axis=0) & (tables.sum(axis=1) > 0).all(axis=0)]
    theirs = StratifiedTable(telling).test_equal_odds(adjust=True)
    assert ratio.homogeneity.statistic == pytest.approx(max(0.0, float(theirs.statistic)), rel=1e-6, abs=1e-6)


def test_an_odds_ratio_of_one_is_tested_for_homogeneity_too() -> None:
    # statsmodels divides zero by zero here.
    tables = np.array([[[3.0, 2.0], [2.0, 3.0]], [[2.0, 3.0], [3.0, 2.0]]])
    assert breslow_day(tables, 1.0) == pytest.approx(0.8)
    near = np.nextafter(1.0, 2.0)
    assert breslow_day(tables, near) == pytest.approx(0.8)


def test_barnards_test_gives_the_published_values() -> None:
    assert barnard_p((7, 15), (12, 15)) == pytest.approx(0.0682, abs=5e-5)
    assert barnard_p((43, 53), (40, 79)) == pytest.approx(0.000362832367, rel=1e-4)
    assert fisher((3, 4), (1, 4)).p == pytest.approx(0.485714, abs=1e-6)


@given(
    first=st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(sum),
    second=st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(sum),
)
@settings(max_examples=8, deadline=None)
def test_barnard_and_fisher_agree_with_scipy(first: tuple[int, int], second: tuple[int, int]) -> None:
    table = [[first[0], second[0]], [first[1], second[1]]]
    one, other = (first[0], sum(first)), (second[0], sum(second))
    ours = barnard(one, other).p
    assert ours is not None
    if 0 < one[0] + other[0] < one[1] + other[1]:
        # scipy loses tables that tie with the observed one, so its p-value may be too small, never too large.
        theirs = max(barnard_exact(np.array(table)[order]).pvalue for order in ([0, 1], [1, 0]))
        assert ours >= theirs - 1e-4
    assert fisher(one, other).p == pytest.approx(fisher_exact(table).pvalue, rel=1e-6)
    assert fisher_table(one[1], other[1])[one[0], other[0]] == pytest.approx(fisher_exact(table).pvalue, rel=1e-6)
    assert barnard_table(one[1], other[1])[one[0], other[0]] == pytest.approx(ours, abs=2e-4)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=30, deadline=None)
def test_barnards_p_value_is_the_largest_over_all_rates(n: int, m: int, x: int, y: int) -> None:
    x, y = min(x, n), min(y, m)
    scores = score_table(n, m)
    tail = scores >= scores[x, y] * (1 - 1e-9)
    rates = np.linspace(0, 1, 4001)[:, None]
    chances = np.sum((binom.pmf(np.arange(n + 1), n, rates) @ tail) * binom.pmf(np.arange(m + 1), m, rates), axis=1)
    assert barnard_p((x, n), (y, m)) == pytest.approx(min(1.0, chances.max()), abs=1e-6)
    assert barnard_p((x, n), (y, m)) >= min(1.0, chances.max()) - 1e-12


def test_barnards_test_counts_mirror_images() -> None:
    # In whole numbers 14 of 20 against 5 of 20 is exactly as extreme.
    assert barnard_p((6, 20), (15, 20)) == pytest.approx(0.006439537, abs=1e-8)
    assert barnard_p((5, 20), (14, 20)) == pytest.approx(0.006439537, abs=1e-8)


def test_exact_tests_keep_their_level_and_find_what_others_found() -> None:
    for table in (barnard_table(20, 20), fisher_table(20, 20)):
        assert max(rejection_probability(table, 0.05, rate, rate) for rate in np.linspace(0.02, 0.98, 49)) <= 0.05
    assert rejection_probability(barnard_table(20, 20), 0.05, 0.5, 0.8) == pytest.approx(0.49, abs=0.005)
    assert cmh_table(7, 9)[3, 8] == pytest.approx(
        cmh(Counts(("a", "b"), ("l",), np.array([[3], [8]]), np.array([[7], [9]]))).p
    )


def test_what_cannot_be_tested_says_so() -> None:
    assert barnard((0, 0), (1, 2)).p is None
    assert barnard((0, 5), (0, 5)).p == 1.0
    assert "2000" in barnard((5, 3000), (9, 3000)).note
    assert fisher((0, 0), (0, 0)).note
    empty = Counts(("a", "b"), ("l",), np.zeros((2, 1), dtype=np.int64), np.array([[0], [3]]))
    assert cmh(empty).note == "no trial of a"
    large = Counts(("a", "b"), ("l",), np.array([[5], [9]]), np.array([[20_000], [3]]))
    assert exact_stratified(large).p is None
    apart = Counts(("a", "b"), ("l", "m"), np.array([[1, 0], [0, 1]]), np.array([[2, 0], [0, 2]]))
    assert cmh(apart).p is None


def test_holm_counts_what_could_not_be_computed() -> None:
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 0.2))
@settings(max_examples=5, deadline=None)
def test_many_families_are_decided_as_one(p_values: list[float], alpha: float) -> None:
    adjusted = holm(p_values)
    assert adjusted == pytest.approx(list(multipletests(p_values, method="holm")[1]))
    decisions = holm_rejects(np.array([p_values, p_values]), alpha)
    for value, decision in zip(adjusted, decisions[1], strict=True):
        assert value is not None
        assert decision == (value <= alpha) or value == pytest.approx(alpha)
