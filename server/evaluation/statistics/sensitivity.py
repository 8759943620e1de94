"""The main results in other readings of the data: do the conclusions hang on a choice?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.results import ScoredTrial
from unichunk.server.evaluation.statistics.counts import count
from unichunk.server.evaluation.statistics.document import CellRate, Sensitivity
from unichunk.server.evaluation.statistics.holm import judged
from unichunk.server.evaluation.statistics.intervals import rate_of
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh
from unichunk.server.evaluation.statistics.pairs import primary_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.server.evaluation.results import Results, VoidTrial
    from unichunk.server.evaluation.statistics.document import PairComparison, Tested

POLICY_LOST: Final = "policy lost"
"""Code of an interruption because a policy died."""

STOPPED: Final = "emergency stop"
"""Code of an interruption by somebody who pressed the stop."""

SEEN: Final = (", while it ran", ", after its end")
"""Ends of the causes of voids that were given once a trial had begun."""

COUNTED: Final = "counted as failure"
"""Kind of a deviation: a policy died, and by the plan's rule that is a failure."""


@dataclass(frozen=True)
class Reading:
    """Other trials in the place of those that were scored.

    Attributes:
        name: Short.
        description: What is read otherwise.
        changed: How many are read otherwise or left out.
        trials: What is read.
    """

    name: str
    description: str
    changed: int
    trials: tuple[ScoredTrial, ...]


def readings(results: Results) -> tuple[Reading, ...]:
    """All other readings for which there is something to read otherwise."""
    counted = {deviation.trial for deviation in results.deviations if deviation.kind == COUNTED}
    found = (
        _as_failures(
            results,
            "policy deaths as failures",
            "a slot in which the policy died counts as a failure, whatever came out when it was redone",
            lambda cause: cause == POLICY_LOST,
        ),
        _as_failures(
            results,
            "seen and voided as failures",
            "a slot in which somebody voided or stopped a trial that had begun counts as a failure, whatever came out "
            "when it was redone",
            lambda cause: cause == STOPPED or cause.endswith(SEEN),
        ),
        _left_out(
            results,
            "policy deaths left out",
            "trials that were counted as failures because the policy died are left out",
            lambda trial: trial.trial not in counted,
        ),
        _left_out(
            results,
            "redone trials left out",
            "slots whose first trial was void are left out",
            lambda trial: trial.attempt == 0,
        ),
        _left_out(
            results,
            "unblinded trials left out",
            "trials that were unblinded in an emergency are left out",
            lambda trial: not trial.unblinded,
        ),
        _raters_instead(results),
    )
    return tuple(reading for reading in found if reading.changed)


def sensitivities(results: Results, omnibus: Tested, pairs: Sequence[PairComparison]) -> tuple[Sensitivity, ...]:
    """The main results in every other reading.

    Args:
        results: Of the campaign.
        omnibus: The primary test as it was planned.
        pairs: The pairs as they were planned.
    """
    return tuple(_sensitivity(results, reading, omnibus, pairs) for reading in readings(results))


def _sensitivity(results: Results, reading: Reading, omnibus: Tested, pairs: Sequence[PairComparison]) -> Sensitivity:
    campaign = results.plan.campaign
    alpha, confidence = campaign.analysis.alpha, campaign.analysis.confidence
    policies = [policy.name for policy in campaign.policies]
    counts = count(reading.trials, policies, [layout.name for layout in campaign.layouts])
    over_all = judged(cmh(counts), alpha)
    compared = primary_pairs(campaign, counts)
    decisions = [pair.cmh.rejects for pair in pairs] + [omnibus.rejects]
    return Sensitivity(
        name=reading.name,
        description=reading.description,
        changed=reading.changed,
        trials=len(reading.trials),
        success=tuple(
            CellRate(policy=name, task="", layout="", success=rate_of(*counts.pooled(name), confidence))
            for name in policies
        ),
        omnibus=over_all,
        pairs=compared,
        conclusions_change=decisions != [pair.cmh.rejects for pair in compared] + [over_all.rejects],
    )


def _left_out(results: Results, name: str, description: str, kept: Callable[[ScoredTrial], bool]) -> Reading:
    trials = tuple(trial for trial in results.trials if kept(trial))
    return Reading(name, description, len(results.trials) - len(trials), trials)


def _as_failures(results: Results, name: str, description: str, of: Callable[[str], bool]) -> Reading:
    """Slots with a void trial of certain causes read as failures."""
    voids = [void for void in results.voids if of(void.cause)]
    slots = {void.slot for void in voids if void.slot >= 0}
    trials = [replace(trial, success=False) if trial.slot in slots else trial for trial in results.trials]
    present = {trial.slot for trial in results.trials}
    # Where the slot is not known (or has no score), that is one failure more.
    unmatched = [void for void in voids if void.slot < 0 or void.slot not in present]
    extra = [_failure(void, len(trials) + number) for number, void in enumerate(unmatched)]
    return Reading(name, description, len(slots & present) + len(extra), (*trials, *extra))


def _failure(void: VoidTrial, order: int) -> ScoredTrial:
    return ScoredTrial(
        trial=void.trial,
        order=order,
        policy=void.policy,
        task="",
        layout=void.layout,
        attempt=0,
        success=False,
        rubric=(),
        operator="",
        robot="",
        started_at=0,
        duration_s=0.0,
        note="",
    )


def _raters_instead(results: Results) -> Reading:
    judged = {score.trial: score.success for score in results.second_scores}
    trials = tuple(replace(trial, success=judged.get(trial.trial, trial.success)) for trial in results.trials)
    changed = sum(one.success != other.success for one, other in zip(trials, results.trials, strict=True))
    return Reading(
        "second raters instead",
        "where a second rater scored a trial from its video, that score stands in for the operator's",
        changed,
        trials,
    )
