"""The whole analysis: with some of everything, with nothing, and with what cannot be computed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.made_results import made_campaign, made_plan, made_results, made_trials
from unichunk.server.evaluation.planning.campaign import Analysis, Randomization
from unichunk.server.evaluation.results import Deviation, Results, SecondScore, VoidTrial
from unichunk.server.evaluation.statistics.analysis import analyse
from unichunk.server.evaluation.statistics.document import AnalysisResult
from unichunk.server.evaluation.statistics.drift import trend_within_cells
from unichunk.server.evaluation.statistics.rerandomization import randomization_test
from unichunk.server.evaluation.statistics.sensitivity import readings


def _nothing(results: Results) -> Results:
    return replace(results, trials=(), voids=(), second_scores=(), guesses=(), preferences=(), deviations=())


def test_the_document_can_be_written_and_read_again_and_is_the_same_each_time() -> None:
    results = made_results()
    analysis = analyse(results)
    written = msgspec.json.encode(analysis)
    assert msgspec.json.decode(written, type=AnalysisResult) == analysis
    assert msgspec.json.encode(analyse(results)) == written


def test_everything_is_there_with_its_numbers() -> None:
    analysis = analyse(made_results(made_campaign(per_cell=10), (0.1, 0.5, 0.95)))
    assert analysis.policies == ("p0", "p1", "p2")
    assert analysis.trials == analysis.planned == 60
    assert [rate.success.trials for rate in analysis.success] == [20, 20, 20]
    assert [(rate.task, rate.success.trials) for rate in analysis.by_task if rate.policy == "p0"] == [
        ("stack", 10),
        ("pour", 10),
    ]
    assert len(analysis.by_layout) == 6
    assert {rate.item for rate in analysis.rubric} == {"grasped", "lifted"}
    assert all(rate.done.trials == 10 for rate in analysis.rubric)
    assert [(pair.first, pair.second) for pair in analysis.pairs] == [("p0", "p1"), ("p0", "p2"), ("p1", "p2")]
    far = analysis.pairs[1]
    assert analysis.omnibus.rejects
    assert analysis.randomization.rejects
    for test in (far.cmh, far.randomization, far.exact, far.barnard, far.fisher):
        assert test.rejects
        assert test.adjusted is not None
        assert test.p is not None
        assert test.p <= test.adjusted <= 3 * test.p + 1e-12
    assert far.difference.estimate is not None
    assert far.difference.estimate < 0
    assert far.first_better is not None
    assert far.first_better < 0.01
    assert far.sequential is not None
    assert far.sequential.steps
    assert analysis.posteriors[2].best > 0.9
    assert analysis.preferences is not None
    assert analysis.preferences.compared > 0
    assert analysis.blinding is not None
    assert analysis.blinding.asked == 60
    assert [agreement.item for agreement in analysis.agreement] == ["success", "grasped", "lifted"]
    assert analysis.agreement[0].judged == 30
    assert sum(policy.void.successes for policy in analysis.voids.policies) == 9
    assert [part.success.trials for part in analysis.drift.parts] == [15, 15, 15, 15]
    assert "Preferences" in {method.name for method in analysis.methods}


def test_only_what_was_declared_is_computed() -> None:
    campaign = made_campaign(analysis=Analysis(pairs="baseline", baseline="p1", sequential=False))
    analysis = analyse(replace(made_results(campaign), second_scores=(), guesses=(), preferences=()))
    assert [(pair.first, pair.second) for pair in analysis.pairs] == [("p0", "p1"), ("p2", "p1")]
    assert all(pair.sequential is None for pair in analysis.pairs)
    assert analysis.agreement == ()
    assert analysis.blinding is None
    assert analysis.preferences is None
    assert not {"Preferences", "Agreement", "Blinding", "Anytime-valid test"} & {m.name for m in analysis.methods}


@pytest.mark.parametrize("rates", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("randomization", [Randomization.REPLICATE_BLOCKS, Randomization.INDEPENDENT_DRAW])
def test_the_same_outcome_everywhere_is_no_trouble(rates: tuple[float, ...], randomization: Randomization) -> None:
    analysis = analyse(made_results(made_campaign(2, 1, 3, randomization), rates))
    msgspec.json.encode(analysis)
    if rates[0] == rates[1]:
        assert analysis.omnibus.p is None
        assert analysis.omnibus.note
        assert analysis.pairs[0].barnard.p == 1.0
        assert analysis.pairs[0].odds_ratio.estimate is None
    else:
        assert analysis.omnibus.p is not None
        assert "p1 was the better one" in analysis.pairs[0].odds_ratio.note
    assert analysis.problems
    said = [line for line in analysis.problems if line.startswith("agreement about ")]
    assert len(said) == sum(bool(agreement.note) for agreement in analysis.agreement)


def test_nothing_at_all_is_no_trouble() -> None:
    analysis = analyse(_nothing(made_results()))
    assert analysis.problems[0] == "0 trials were scored, the plan wanted 30"
    assert all(rate.success.rate is None for rate in analysis.success)
    assert analysis.voids.difference.note == "no trial was void"
    assert analysis.drift.parts == ()


@given(kept=st.lists(st.booleans(), min_size=12, max_size=12), seed=st.integers(0, 5), drawn=st.booleans())
@settings(max_examples=8, deadline=None)
def test_no_selection_of_trials_breaks_it(kept: list[bool], seed: int, drawn: bool) -> None:
    randomization = Randomization.INDEPENDENT_DRAW if drawn else Randomization.LAYOUT_GROUPED
    results = made_results(made_campaign(3, 2, 2, randomization), seed=seed)
    some = tuple(trial for trial, keep in zip(results.trials, kept, strict=True) if keep)
    analysis = analyse(replace(results, trials=some))
    msgspec.json.encode(analysis)
    assert analysis.trials == sum(kept)
    for test in (analysis.omnibus, analysis.randomization, *(pair.exact for pair in analysis.pairs)):
        assert (test.p is None) <= bool(test.note)
        assert test.p is None or 0 < test.p <= 1


def test_other_readings_change_what_they_say() -> None:
    results = made_results(made_campaign(2, 1, 4), (1.0, 0.5))
    won = [trial for trial in results.trials if trial.policy == "p0"]
    voids = (
        VoidTrial("v0", "p0", "l0", "died", "policy lost", slot=won[0].slot),
        VoidTrial("v1", "p0", "l0", "died", "policy lost"),
        VoidTrial("v3", "p0", "l0", "died", "policy lost"),
        VoidTrial("v2", "p0", "l0", "fell", "robot lost", slot=won[1].slot),
    )
    marked = tuple(
        replace(trial, attempt=1, unblinded=trial == won[1]) if trial in won[:2] else trial for trial in results.trials
    )
    results = replace(
        results,
        trials=marked,
        voids=voids,
        second_scores=(SecondScore(won[2].trial, "ray", success=False, rubric=()),),
        deviations=(Deviation(0, "counted as failure", won[3].trial, "server", ""),),
    )
    found = {reading.name: reading for reading in readings(results)}
    assert {name: (reading.changed, len(reading.trials)) for name, reading in found.items()} == {
        "policy deaths as failures": (3, 10),
        "policy deaths left out": (1, 7),
        "redone trials left out": (2, 6),
        "unblinded trials left out": (1, 7),
        "second raters instead": (1, 8),
    }
    assert sum(trial.success for trial in found["policy deaths as failures"].trials if trial.policy == "p0") == 3
    nameless = replace(results, trials=tuple(replace(trial, slot=-1) for trial in results.trials))
    assert readings(nameless)[0].changed == 3
    rates = {reading.name: reading.success[0].success for reading in analyse(results).sensitivity}
    assert (rates["policy deaths as failures"].successes, rates["policy deaths as failures"].trials) == (3, 6)
    assert (rates["second raters instead"].successes, rates["second raters instead"].trials) == (3, 4)


@pytest.mark.parametrize(
    ("cause", "seen"),
    [
        ("operator", False),
        ("operator, while it ran", True),
        ("operator, after its end", True),
        ("admin, after its end", True),
        ("emergency stop", True),
        ("robot lost", False),
        ("server ended", False),
    ],
)
def test_what_was_voided_by_somebody_who_had_seen_it_is_read_as_failed_too(cause: str, *, seen: bool) -> None:
    results = made_results(made_campaign(2, 1, 4), (1.0, 0.5))
    won = next(trial for trial in results.trials if trial.success)
    void = VoidTrial("v0", won.policy, won.layout, "the light was bad", cause, slot=won.slot)
    read = {reading.name: reading for reading in readings(replace(results, voids=(void,), second_scores=()))}.get(
        "seen and voided as failures"
    )
    assert (read is not None) == seen
    if read is not None:
        assert [trial.trial for trial in read.trials if trial.success] == [
            trial.trial for trial in results.trials if trial.success and trial is not won
        ]


def test_a_conclusion_that_hangs_on_a_reading_is_named() -> None:
    results = made_results(made_campaign(2, 1, 6), (1.0, 0.0))
    died = tuple(
        VoidTrial(f"v{trial.order}", "p0", "l0", "died", "policy lost", slot=trial.slot)
        for trial in results.trials
        if trial.policy == "p0"
    )
    analysis = analyse(replace(results, voids=died))
    assert analysis.sensitivity[0].conclusions_change
    (pair,) = analysis.sensitivity[0].pairs
    assert (pair.first, pair.second) == ("p0", "p1")
    assert pair.difference.estimate == 0.0
    better = analyse(replace(results, voids=died[:1])).sensitivity[0].pairs[0]
    assert better.difference.estimate == pytest.approx(5 / 6)
    assert "a conclusion changes with policy deaths as failures" in analysis.problems
    assert analysis.voids.difference.p == pytest.approx(0.0537, abs=1e-4)


def test_drift_is_found_within_cells_and_its_slope_is_right() -> None:
    campaign = made_campaign(2, 1, 20)
    trials = [replace(trial, success=trial.order >= 20) for trial in made_trials(campaign, (0.5, 0.5))]
    trend, slope = trend_within_cells(trials, 0.05)
    assert trend.rejects
    assert slope == pytest.approx(1.5, abs=0.1)
    fair, flat = trend_within_cells(made_trials(campaign, (0.2, 0.8), seed=1), 0.05)
    assert not fair.rejects
    assert flat is not None
    assert abs(flat) < 0.5
    assert trend_within_cells(trials[:1], 0.05)[0].p is None


def test_drift_beside_the_papers_draw_is_a_problem() -> None:
    results = made_results(made_campaign(2, 1, 20, Randomization.INDEPENDENT_DRAW), (0.5, 0.5))
    drifted = replace(results, trials=tuple(replace(trial, success=trial.order < 20) for trial in results.trials))
    assert "read the randomization test instead" in analyse(drifted).problems[0]


def test_redraws_agree_with_all_orders_of_the_blocks() -> None:
    # Two policies, six blocks that differ: the statistic is as far in 2 of the 64 orders.
    campaign = made_campaign(2, 1, 6)
    trials = [replace(trial, success=trial.policy == "p0") for trial in made_trials(campaign, (0.5, 0.5))]
    assert randomization_test(campaign, trials, ("p0", "p1")).p == pytest.approx(2 / 64, abs=0.015)
    blocks_unknown = [replace(trial, slot=-1) for trial in trials]
    assert randomization_test(campaign, blocks_unknown, ("p0", "p1")).note == "slots not known"


def test_redraws_of_the_papers_draw_have_its_chances() -> None:
    # Two trials of each: the draw gives aabb and bbaa a chance of 1/4 each, the four other orders 1/8 each.
    campaign = made_campaign(2, 1, 2, Randomization.INDEPENDENT_DRAW)
    pattern = made_trials(campaign, (0.5, 0.5))
    trials = [
        replace(trial, policy=label, success=success)
        for trial, label, success in zip(pattern, ("p0", "p0", "p1", "p1"), (True, True, False, False), strict=True)
    ]
    assert randomization_test(campaign, trials, ("p0", "p1")).p == pytest.approx(0.5, abs=0.04)
    blocked = made_campaign(2, 1, 2)
    assert randomization_test(blocked, trials, ("p0", "p1")).p == 1.0


def test_an_incomplete_plan_is_named() -> None:
    results = made_results()
    analysis = analyse(replace(results, trials=results.trials[:-1], plan=made_plan(made_campaign())))
    assert analysis.problems[0] == "29 trials were scored, the plan wanted 30"
