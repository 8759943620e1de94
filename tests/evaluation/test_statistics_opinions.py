"""Preferences, agreement, blinding and voids against published examples and by enumeration."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom

from unichunk.server.evaluation.results import PolicyGuess, Preference
from unichunk.server.evaluation.statistics import bradley_terry, freeman_halton
from unichunk.server.evaluation.statistics.agreement import cohen
from unichunk.server.evaluation.statistics.blinding_index import Guesses, bang, blinding_index, james
from unichunk.server.evaluation.statistics.krippendorff import krippendorff
from unichunk.server.evaluation.statistics.matching import hits_at_least
from unichunk.server.evaluation.statistics.posterior import posteriors, probability_better
from unichunk.server.evaluation.statistics.preferences import preferred

# The American League of 1987 (Agresti 1990): Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore.
BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    dtype=float,
)


def test_strengths_of_the_american_league_are_the_published_ones() -> None:
    strengths, errors = bradley_terry.fit(BASEBALL)
    published = [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0]
    assert strengths - strengths[-1] == pytest.approx(published, abs=5e-5)
    assert np.all((errors > 0.1) & (errors < 0.5))


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_strengths_are_found_again_from_what_they_make_expect(truth: list[float]) -> None:
    strengths = np.array(truth) - np.mean(truth)
    wins = 100.0 / (1.0 + np.exp(strengths[None, :] - strengths[:, None]))
    np.fill_diagonal(wins, 0.0)
    assert bradley_terry.fit(wins)[0] == pytest.approx(strengths, abs=1e-6)


def _preferences(*wins: tuple[str, str, str]) -> list[Preference]:
    return [Preference(first, second, better, "ann") for first, second, better in wins]


def test_policies_that_were_never_compared_are_not_ranked_with_each_other() -> None:
    found = preferred(
        _preferences(
            ("a", "b", "a"), ("a", "b", "b"), ("a", "b", ""), ("c", "d", "c"), ("e", "e", "e"), ("x", "a", "a")
        ),
        list("abcde"),
        {},
        0.95,
    )
    assert not found.connected
    assert "a, b; c, d; e" in found.note
    assert [strength.component for strength in found.strengths] == [0, 0, 1, 1, 2]
    assert found.strengths[-1].strength is None
    assert (found.compared, found.ties, found.left_out, found.regularized) == (4, 1, 2, True)
    never_lost = found.strengths[2]
    assert never_lost.policy == "c"
    assert never_lost.strength == pytest.approx(math.log(3) / 2)


def test_trials_stand_for_their_policies_and_ties_for_half_a_win() -> None:
    pairs = _preferences(("t1", "t2", "a"), ("t2", "t1", "a"), ("t1", "t2", "b"), ("t1", "t2", ""))
    found = preferred(pairs, ["b", "a"], {"t1": "a", "t2": "b"}, 0.95)
    assert found.connected
    assert not found.regularized
    assert found.strengths[0].policy == "a"
    assert (found.strengths[0].wins, found.strengths[0].losses, found.strengths[0].ties) == (2, 1, 1)
    assert found.strengths[0].strength == pytest.approx(math.log(2.5 / 1.5) / 2)
    interval = found.strengths[0].interval
    assert interval is not None
    # Variance of the log-odds is 1 / 2.5 + 1 / 1.5; of each strength a quarter.
    reach = 1.959964 * math.sqrt((1 / 2.5 + 1 / 1.5) / 4)
    assert interval.high - interval.low == pytest.approx(2 * reach, abs=1e-5)


def test_kappa_and_alpha_are_the_published_ones() -> None:
    kappa, interval, note = cohen(np.array([[20, 5], [10, 15]]), 0.95)
    assert kappa == pytest.approx(0.4)
    assert interval is not None
    assert interval.low < 0.4 < interval.high
    assert not note
    # Krippendorff 2011: four observers, twelve units, nominal: 0.743.
    rows = ("1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")
    units = zip(*(row.split() for row in rows), strict=True)
    assert krippendorff([[v for v in unit if v != "."] for unit in units]) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("table", [[[0, 0], [0, 0]], [[5, 0], [0, 0]], [[5, 3], [0, 0]], [[2, 0], [3, 0]]])
def test_a_kappa_that_says_nothing_says_so(table: list[list[int]]) -> None:
    kappa, interval, note = cohen(np.array(table), 0.95)
    assert kappa is None or kappa == 0.0
    assert interval is None
    assert note
    assert krippendorff([[True, True], [True, True]]) is None
    assert krippendorff([[True], []]) is None


def test_blinding_indices_of_the_crisp_trial_are_the_published_ones() -> None:
    # Bang, Ni & Davis 2004, with one-sided bounds of 95 %.
    treated, placebo = bang(82, 25, 170, 2, 0.90), bang(29, 27, 83, 2, 0.90)
    assert treated is not None
    assert placebo is not None
    assert (treated[0], treated[1].low, treated[1].high) == pytest.approx((0.21, 0.15, 0.26), abs=0.006)
    assert (placebo[0], placebo[1].low, placebo[1].high) == pytest.approx((0.01, -0.07, 0.10), abs=0.006)
    index, interval = james(Guesses(np.array([[82, 25], [27, 29]]), np.array([170, 83])), 0.90)
    assert index == pytest.approx(0.75, abs=0.005)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.71, 0.78), abs=0.01)


@pytest.mark.parametrize(
    ("named", "unknown", "expected"),
    [
        ([[0, 0], [0, 0]], [5, 5], 1.0),
        ([[5, 0], [0, 5]], [0, 0], 0.0),
        ([[0, 5], [5, 0]], [0, 0], 1.0),
        ([[5, 5], [5, 5]], [0, 0], 0.5),
        ([[0, 0], [0, 0]], [0, 0], None),
        ([[5, 0], [0, 0]], [0, 0], None),
    ],
)
def test_james_index_at_its_ends(named: list[list[int]], unknown: list[int], expected: float | None) -> None:
    index, _ = james(Guesses(np.array(named), np.array(unknown)), 0.95)
    assert index == (None if expected is None else pytest.approx(expected))


def test_bangs_index_for_several_policies_is_zero_by_chance() -> None:
    by_chance, always, never = bang(10, 30, 5, 4, 0.95), bang(7, 0, 0, 4, 0.95), bang(0, 9, 0, 4, 0.95)
    assert by_chance is not None
    assert by_chance[0] == pytest.approx(0.0)
    assert always is not None
    assert always[0] == 1.0
    assert never is not None
    assert never[0] == pytest.approx(-1 / 3)
    assert bang(0, 0, 0, 4, 0.95) is None
    # Scores 1, -1/2 and 0 with shares 0.4, 0.4 and 0.2: variance 0.4 + 0.1 - 0.2^2.
    spread = bang(8, 8, 4, 3, 0.95)
    assert spread is not None
    assert spread[0] == pytest.approx(0.2)
    assert spread[1].high == pytest.approx(0.2 + 1.959964 * (0.46 / 20) ** 0.5)


def test_guesses_are_counted_by_policy() -> None:
    guesses = [
        PolicyGuess("t", "ann", policy, guess) for policy, guess in (("a", "a"), ("a", ""), ("b", "a"), ("?", "a"))
    ]
    found = blinding_index(guesses, ["a", "b"], 0.95, 0.05)
    assert found.asked == 3
    assert found.policies[0].guesses == (("a", 1), ("b", 0), ("", 1))
    assert (found.policies[1].correct, found.policies[1].wrong) == (0, 1)
    nobody = blinding_index([], ["a", "b"], 0.95, 0.05)
    assert nobody.recognized.p is None
    assert nobody.note


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_chances_of_hits_are_those_of_all_orders(pairs: list[tuple[int, int]], hits: int) -> None:
    policies, guesses = zip(*pairs, strict=True)
    orders = list(itertools.permutations(guesses))
    as_many = sum(sum(map(int.__eq__, policies, order)) >= hits for order in orders) / len(orders)
    made, named = Counter(policies), Counter(guesses)
    assert hits_at_least(hits, [made[i] for i in range(3)], [named[i] for i in range(3)]) == pytest.approx(as_many)


def test_many_guesses_are_judged_by_the_normal_approximation() -> None:
    exact = hits_at_least(60, [100, 100], [100, 100])
    # Two policies: hits are twice a hypergeometric number.
    assert exact == pytest.approx(hypergeom.sf(29, 200, 100, 100) if exact > 0.5 else exact)
    assert hits_at_least(540, [500, 500], [500, 500]) == pytest.approx(hypergeom.sf(269, 1000, 500, 500), rel=0.2)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(sum), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_test_of_void_rates_is_that_of_all_tables(groups: list[tuple[int, int]]) -> None:
    events, totals = [group[0] for group in groups], [sum(group) for group in groups]
    weights = {
        table: math.prod(map(math.comb, totals, table))
        for table in itertools.product(*(range(total + 1) for total in totals))
        if sum(table) == sum(events)
    }
    expected = sum(w for w in weights.values() if w <= weights[tuple(events)]) / sum(weights.values())
    p, exact = freeman_halton.freeman_halton(events, totals)
    assert exact
    assert p == pytest.approx(expected)
    if len(groups) == 2:
        table = [events, [total - event for event, total in zip(events, totals, strict=True)]]
        assert p == pytest.approx(fisher_exact(table).pvalue)


def test_too_many_tables_are_drawn_and_agree_with_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    events, totals = [5, 1, 9, 2], [20, 20, 25, 22]
    counted, exact = freeman_halton.freeman_halton(events, totals)
    assert exact
    monkeypatch.setattr(freeman_halton, "MOST_STATES", 3)
    drawn, exact = freeman_halton.freeman_halton(events, totals)
    assert not exact
    assert drawn == pytest.approx(counted, abs=0.005)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_one_of_two_policies_is_better(a: int, b: int, c: int, d: int) -> None:
    first, second = (a, a + b), (c, c + d)
    assert probability_better(first, second) + probability_better(second, first) == pytest.approx(1.0, abs=1e-4)


def test_posteriors_agree_with_integration() -> None:
    from scipy.integrate import quad
    from scipy.stats import beta

    found = posteriors(["a", "b", "c"], [(12, 20), (9, 20), (15, 20)], 0.95)
    assert sum(posterior.best for posterior in found) == pytest.approx(1.0, abs=1e-6)
    assert found[0].mean == pytest.approx(12.5 / 21)
    assert found[0].credible.low == pytest.approx(beta.ppf(0.025, 12.5, 8.5))
    better = quad(lambda x: beta.pdf(x, 12.5, 8.5) * beta.cdf(x, 9.5, 11.5), 0, 1)[0]
    assert probability_better((12, 20), (9, 20)) == pytest.approx(better, abs=1e-7)
