"""The anytime-valid test: fair bets under its null, by enumeration; and what it finds."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.made_results import made_campaign, made_trials
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.statistics.confidence_sequence import difference_sequence, odds_ratio_sequence
from unichunk.server.evaluation.statistics.fair_labels import fair_trials
from unichunk.server.evaluation.statistics.matched_pairs import log_e_value, match
from unichunk.server.evaluation.statistics.sequential import MOST_STEPS, sequential_test

if TYPE_CHECKING:
    from unichunk.server.evaluation.results import ScoredTrial

METHODS = tuple(Randomization)


def _trial(order: int, policy: str, success: bool, layout: str = "l0", slot: int = -2, attempt: int = 0) -> ScoredTrial:
    pattern = made_trials(made_campaign(2, 1, 1), (0.5, 0.5))[0]
    return replace(
        pattern,
        trial=f"t{order}",
        order=order,
        policy=policy,
        success=success,
        layout=layout,
        slot=order if slot == -2 else slot,
        attempt=attempt,
    )


@given(wins=st.integers(0, 60), losses=st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_every_bet_is_fair(wins: int, losses: int) -> None:
    now, won, lost = np.exp(log_e_value(np.array([wins, wins + 1, wins]), np.array([losses, losses, losses + 1])))
    assert 0.5 * (won + lost) == pytest.approx(now)


def test_the_e_value_is_the_likelihood_ratio_against_a_uniform_prior() -> None:
    assert np.exp(log_e_value(np.array(9), np.array(1))) == pytest.approx(2**10 / (11 * 10))
    assert log_e_value(np.array(0), np.array(0)) == 0.0


def test_the_capital_reaches_twenty_at_most_once_in_twenty_coins() -> None:
    # Exact: the distribution of wins among campaigns that have not reached it yet.
    alive, reached = np.array([1.0]), 0.0
    for coins in range(1, 301):
        alive = 0.5 * (np.append(alive, 0.0) + np.append(0.0, alive))
        wins = np.arange(coins + 1)
        stop = log_e_value(wins, coins - wins) >= math.log(20.0)
        reached += alive[stop].sum()
        alive[stop] = 0.0
    assert 0.01 < reached <= 0.05


@pytest.mark.parametrize("outcomes", list(itertools.product([False, True], repeat=4)))
def test_matched_pairs_are_fair_whatever_the_session_does(outcomes: tuple[bool, ...]) -> None:
    # All orders that replicate blocks of two policies may have, with outcomes that only depend on time.
    e_values = []
    for blocks in itertools.product([("a", "b"), ("b", "a")], repeat=2):
        labels = blocks[0] + blocks[1]
        trials = [_trial(order, label, out) for order, (label, out) in enumerate(zip(labels, outcomes, strict=True))]
        differences = [int(pair.first) - int(pair.second) for pair in match(trials, "a", "b", cells=2)]
        assert len(differences) == 2
        e_values.append(math.exp(float(log_e_value(np.array(differences.count(1)), np.array(differences.count(-1))))))
    assert np.mean(e_values) == pytest.approx(1.0)


@pytest.mark.parametrize("outcomes", list(itertools.product([False, True], repeat=6)))
def test_fair_labels_are_fair_whatever_the_session_does(outcomes: tuple[bool, ...]) -> None:
    # All sequences of the paper's draw of two policies with three trials each on one layout, with their chances.
    mean = 0.0
    for labels in set(itertools.permutations("aaabbb")):
        chance, left = 1.0, {"a": 3, "b": 3}
        for label in labels:
            chance *= 0.5 if min(left.values()) else 1.0
            left[label] -= 1
        trials = [_trial(order, label, out) for order, (label, out) in enumerate(zip(labels, outcomes, strict=True))]
        fair = fair_trials(trials, "a", "b", per_cell=3)
        table = [
            sum(trial.is_first is first and trial.success is success for trial in fair)
            for success in (True, False)
            for first in (True, False)
        ]
        mean += chance * math.exp(float(np.sum(log_e_value(np.array(table[::2]), np.array(table[1::2])))))
    assert mean == pytest.approx(1.0)


def test_pairs_are_matched_by_replicate_also_where_trials_were_redone() -> None:
    # The first policy's trial of replicate 0 became void and was redone last; by rank it would change partners.
    trials = [
        _trial(0, "b", False, slot=1),
        _trial(1, "a", True, slot=2),
        _trial(2, "b", True, slot=3),
        _trial(3, "a", False, slot=0, attempt=1),
    ]
    pairs = match(trials, "a", "b", cells=2)
    assert [(pair.settled, pair.first, pair.second) for pair in pairs] == [(2, True, True), (3, False, False)]
    by_rank = match([replace(trial, slot=-1) for trial in trials], "a", "b", cells=2)
    assert [(pair.settled, pair.first, pair.second) for pair in by_rank] == [(1, True, False), (3, False, True)]


def test_labels_are_bet_on_in_the_order_of_the_draw_when_all_before_are_settled() -> None:
    # Two robots: slot 0 was scored after slot 1.
    trials = [_trial(1, "a", True, slot=0), _trial(0, "b", False, slot=1), _trial(2, "b", True, slot=2)]
    assert [(trial.settled, trial.is_first) for trial in fair_trials(trials, "a", "b", per_cell=3)] == [
        (1, True),
        (1, False),
        (2, False),
    ]


def test_labels_of_successes_and_of_failures_are_bet_on() -> None:
    campaign = made_campaign(2, 1, 3, Randomization.INDEPENDENT_DRAW)
    trials = [_trial(order, label, label == "p0") for order, label in enumerate(("p0", "p1", "p0", "p1"))]
    # Two heads among two successes, two tails among two failures: (4 / 3) each.
    found = sequential_test(campaign, trials, "p0", "p1")
    assert found.e_value == pytest.approx(16 / 9)
    assert found.bets == 4


def test_forced_and_redone_labels_are_not_bet_on() -> None:
    labels = "aababb"
    trials = [_trial(order, label, True) for order, label in enumerate(labels)]
    assert [trial.settled for trial in fair_trials(trials, "a", "b", per_cell=3)] == [0, 1, 2, 3]
    trials[1] = replace(trials[1], order=9, attempt=1)
    assert [trial.settled for trial in fair_trials(trials, "a", "b", per_cell=3)] == [0, 2, 3]
    assert fair_trials([_trial(0, "c", True)], "a", "b", per_cell=3) == []


def test_a_slot_without_a_score_may_have_been_anybodys() -> None:
    # Looking early: slot 1 is void and waits. Had it been of the second policy, that one were complete before slot 4.
    slots = ((0, "a"), (2, "b"), (3, "b"), (4, "a"))
    trials = [_trial(order, label, True, slot=slot) for order, (slot, label) in enumerate(slots)]
    assert [trial.settled for trial in fair_trials(trials, "a", "b", per_cell=3)] == [0, 1, 2]
    assert [trial.settled for trial in fair_trials(trials, "a", "b", per_cell=4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_a_large_difference_is_found_and_decided_early(method: Randomization) -> None:
    campaign = made_campaign(3, 2, 40, method)
    trials = made_trials(campaign, (0.1, 0.5, 0.9))
    found = sequential_test(campaign, trials, "p0", "p2")
    assert found.e_value > 1e6
    assert found.p < 1e-6
    assert found.decided_after is not None
    assert found.decided_after < 80
    assert len(found.steps) <= MOST_STEPS
    assert found.steps[-1].trials <= 160
    assert [step.trials for step in found.steps] == sorted(step.trials for step in found.steps)
    mirrored = sequential_test(campaign, trials, "p2", "p0")
    assert mirrored.e_value == pytest.approx(found.e_value)


@pytest.mark.parametrize("method", METHODS)
def test_the_other_policies_do_not_matter(method: Randomization) -> None:
    campaign = made_campaign(3, 2, 10, method)
    trials = made_trials(campaign, (0.3, 0.5, 0.6))
    others = [replace(trial, success=not trial.success) if trial.policy == "p1" else trial for trial in trials]
    assert sequential_test(campaign, trials, "p0", "p2") == sequential_test(campaign, others, "p0", "p2")


def test_the_steps_tell_what_they_are_after() -> None:
    campaign = made_campaign(2, 1, 3)
    trials = made_trials(campaign, (1.0, 0.0))
    found = sequential_test(campaign, trials, "p0", "p1")
    assert [step.trials for step in found.steps] == [2, 4, 6]
    assert [step.e_value for step in found.steps] == pytest.approx([1.0, 4 / 3, 2.0])
    assert found.steps[-1].odds_ratio_high is None
    assert found.bets == 3
    assert found.decided_after is None
    assert sequential_test(campaign, (), "p0", "p1").note.startswith("nothing to bet on")
    unknown = [replace(trial, slot=-1) for trial in trials]
    assert "slots are not known" in sequential_test(campaign, unknown, "p0", "p1").note


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=80))
@settings(max_examples=50, deadline=None)
def test_the_sequence_of_odds_ratios_leaves_one_out_exactly_when_the_test_rejects(differences: list[int]) -> None:
    values = np.array(differences)
    wins, losses = np.cumsum(values > 0, dtype=np.int64), np.cumsum(values < 0, dtype=np.int64)
    low, high = odds_ratio_sequence(wins, losses, 0.05)
    assert np.all(low <= high)
    assert np.all(low[1:] >= low[:-1])
    assert np.all(high[1:] <= high[:-1])
    rejected = np.maximum.accumulate(log_e_value(wins, losses)) >= math.log(20.0) - 1e-9
    assert np.array_equal(rejected, (low > 1.0) | (high < 1.0))
    narrow, wide = difference_sequence(values, 0.05, 40), difference_sequence(values, 0.01, 40)
    mean = np.cumsum(values) / np.arange(1, values.size + 1)
    assert np.all((wide[0] <= narrow[0]) & (narrow[0] <= mean) & (mean <= narrow[1]) & (narrow[1] <= wide[1]))


def test_the_sequence_of_the_difference_is_robbins_normal_mixture() -> None:
    # Radius after n pairs: sqrt((n + rho) log((n + rho) / (rho alpha^2))) / n.
    low, high = difference_sequence(np.zeros(100, dtype=np.int64), 0.05, 100)
    rho = 100 / (2 * math.log(20) + math.log(1 + 2 * math.log(20)))
    assert high[-1] == pytest.approx(math.sqrt((100 + rho) * math.log((100 + rho) / (rho * 0.05**2))) / 100)
    assert low[-1] == -high[-1]
    assert low[0] == -1.0
