"""The power planner, and the operating characteristics on few sessions."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.benchmarks.evaluated import drifting, no_effect, simulated_sessions
from unichunk.benchmarks.evaluated.operating_row import simulated_row
from unichunk.benchmarks.evaluated.other_tests import other_tests
from unichunk.benchmarks.evaluated.peeking import peeking
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.statistics.power import (
    NoSuchRates,
    describe,
    plan_power,
    rates_of,
    smallest_per_cell,
)


def test_two_policies_on_one_layout_are_planned_exactly() -> None:
    power = plan_power(rates_of((0.5, 0.8), 1), 20)
    assert power.exact
    assert power.omnibus == pytest.approx(0.5308, abs=1e-4)
    assert power.pairs[0].primary == power.omnibus
    assert 0.1 < power.pairs[0].anytime < 0.3
    assert power.pairs[0].stops_after is None
    # 39 of each by the tables for the chi-square test of .5 against .8 with power .8.
    assert smallest_per_cell(rates_of((0.5, 0.8), 1), 0.8) == 39


def test_several_policies_are_planned_by_simulation() -> None:
    rates = rates_of((0.5, 0.5, 0.9), 3, spread=2.0)
    power = plan_power(rates, 20, simulations=600)
    assert not power.exact
    assert power.trials == 180
    same, far, also_far = power.pairs
    assert same.primary < 0.09
    assert min(far.primary, also_far.primary, power.omnibus) > 0.9
    assert far.anytime > 0.7
    assert far.stops_after is not None
    assert far.stops_after < 120
    assert 0 < power.standard_error < 0.021
    assert power == plan_power(rates, 20, simulations=600)
    lines = describe(power, ["a", "b", "c"])
    assert lines[0] == "180 trials: 3 policies on 3 layouts, K = 20 each; level 0.05"
    assert "half of the time after" in lines[3]
    assert "standard error" in lines[-1]


def test_the_simulation_agrees_with_enumeration() -> None:
    # Two equal layouts with half of the trials each: nearly as much power as one layout with all.
    one = plan_power(rates_of((0.3, 0.6), 1), 40).omnibus
    two = plan_power(rates_of((0.3, 0.6), 2), 20, simulations=2000)
    assert two.omnibus == pytest.approx(one, abs=0.05)


def test_the_smallest_number_of_trials_does_and_one_less_does_not() -> None:
    rates = rates_of((0.4, 0.7), 2)
    smallest = smallest_per_cell(rates, 0.8)
    assert smallest is not None
    assert plan_power(rates, smallest).omnibus == pytest.approx(0.8, abs=0.04)
    assert smallest_per_cell(rates_of((0.5, 0.5), 1), 0.8) is None
    assert smallest_per_cell(rates_of((0.5, 0.51), 1), 0.8, largest=50) is None
    declared = smallest_per_cell(rates_of((0.5, 0.55, 0.95), 1), 0.8, pairs=[(0, 2)])
    assert declared is not None
    assert declared < 30


def test_layouts_spread_about_the_middle_with_one_odds_ratio() -> None:
    rates = np.array(rates_of((0.5, 0.8), 3, spread=2.0))
    odds = rates / (1 - rates)
    assert odds[1] / odds[0] == pytest.approx([4.0, 4.0, 4.0])
    assert np.log(odds[0]) == pytest.approx([-1.0, 0.0, 1.0])
    assert rates_of((0.0, 1.0), 2, spread=1.0) == ((0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("policies", "layouts"), [((0.5,), 1), ((0.5, 1.2), 1), ((0.5, 0.8), 0), ((0.5, float("nan")), 1)]
)
def test_impossible_rates_are_refused(policies: tuple[float, ...], layouts: int) -> None:
    with pytest.raises(NoSuchRates, match="expected at least two rates"):
        rates_of(policies, layouts)


def test_simulated_schedules_have_every_cell_as_often_as_planned() -> None:
    for schedules in (
        *(simulated_sessions.drawn(method, 3, 2, 4, 5) for method in Randomization),
        simulated_sessions.one_after_another(3, 2, 4, 5, seed=1),
    ):
        assert schedules.when.shape == (5, 3, 2, 4)
        rows = np.arange(5)[:, None]
        for policy in range(3):
            for layout in range(2):
                when = schedules.when[:, policy, layout]
                assert np.all(schedules.policy[rows, when] == policy)
                assert np.all(schedules.layout[rows, when] == layout)
                assert np.all(np.diff(when, axis=1) > 0)
    assert np.all(np.diff(schedules.policy, axis=1) >= 0)


def test_drift_fools_who_tries_one_policy_after_another_and_no_replicate_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drifting, "FEWEST", 10)
    rows = [row for row in drifting.drift(60) if "1 layout" in row.case and "4 policies" in row.test]
    chances = {(row.case.rsplit(", ", 1)[-1], row.test): row.value for row in rows}
    assert chances[simulated_sessions.ONE_AFTER_ANOTHER, "Cochran-Mantel-Haenszel, 4 policies"] > 0.3
    assert chances["replicate blocks", "Cochran-Mantel-Haenszel, 4 policies"] < 0.15
    assert chances["independent draw", "randomization test, 4 policies"] < 0.4


def test_every_test_keeps_its_level_within_the_error_of_few_sessions() -> None:
    rows = [*no_effect.several_layouts(150), *other_tests(100)]
    assert len({row.test for row in rows}) == 12
    for row in rows:
        assert row.nominal is not None
        assert row.value <= row.nominal + 4.5 * row.standard_error, row


def test_peeking_fools_fishers_test_and_not_the_anytime_valid_one() -> None:
    rows = [row for row in peeking(300) if row.per_arm == 100 and "0.5" in row.case]
    by_test = {(row.test, row.case.rsplit(" ", 1)[-1]): row.value for row in rows}
    assert by_test["Fisher", "trial"] > by_test["Fisher", "trials"] > 0.1
    assert by_test["anytime-valid", "trial"] < 0.06


def test_a_row_of_no_event_has_a_standard_error_too() -> None:
    row = simulated_row("s", "c", "t", 20, 0.05, np.zeros(98, dtype=np.bool_))
    assert row.value == 0.0
    assert row.standard_error == pytest.approx((0.01 * 0.99 / 98) ** 0.5)
