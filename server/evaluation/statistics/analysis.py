"""The analysis that a plan declared, of everything that its campaign recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.statistics.agreement import agreements
from unichunk.server.evaluation.statistics.blinding_index import blinding_index
from unichunk.server.evaluation.statistics.counts import count
from unichunk.server.evaluation.statistics.document import AnalysisResult, CellRate, RubricRate
from unichunk.server.evaluation.statistics.drift import drift
from unichunk.server.evaluation.statistics.holm import judged
from unichunk.server.evaluation.statistics.intervals import rate_of
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh
from unichunk.server.evaluation.statistics.methods import methods_of
from unichunk.server.evaluation.statistics.pairs import compare_pairs
from unichunk.server.evaluation.statistics.posterior import posteriors
from unichunk.server.evaluation.statistics.preferences import preferred
from unichunk.server.evaluation.statistics.problems import problems_of
from unichunk.server.evaluation.statistics.rerandomization import randomization_test
from unichunk.server.evaluation.statistics.sensitivity import sensitivities
from unichunk.server.evaluation.statistics.voids import void_rates

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.counts import Counts


def analyse(results: Results) -> AnalysisResult:
    """Compute everything; what cannot be computed is None, and said in `problems`. The same input, the same output."""
    plan = results.plan
    campaign = plan.campaign
    alpha, confidence = campaign.analysis.alpha, campaign.analysis.confidence
    policies = tuple(policy.name for policy in campaign.policies)
    counts = count(results.trials, policies, [layout.name for layout in campaign.layouts])
    omnibus = judged(cmh(counts), alpha)
    pairs = compare_pairs(campaign, counts, results.trials)
    agreement = agreements(results.trials, results.second_scores, campaign.tasks, confidence)
    of_trial = {trial.trial: trial.policy for trial in results.trials}
    analysis = AnalysisResult(
        campaign=campaign.name,
        campaign_id=plan.campaign_id,
        commitment=plan.commitment,
        log_head=results.log_head,
        alpha=alpha,
        confidence=confidence,
        trials=len(results.trials),
        planned=campaign.trials,
        policies=policies,
        success=_per_policy(counts, confidence),
        by_task=_by_task(campaign, counts, confidence),
        by_layout=_by_layout(campaign, counts, confidence),
        rubric=_rubric(results, confidence),
        omnibus=omnibus,
        randomization=judged(randomization_test(campaign, results.trials, policies), alpha),
        pairs=pairs,
        posteriors=posteriors(policies, [counts.pooled(name) for name in policies], confidence),
        preferences=preferred(results.preferences, policies, of_trial, confidence) if results.preferences else None,
        agreement=agreement,
        blinding=blinding_index(results.guesses, policies, confidence, alpha) if results.guesses else None,
        voids=void_rates(results.trials, results.voids, policies, confidence, alpha),
        sensitivity=sensitivities(results, omnibus, pairs),
        drift=drift(results.trials, policies, confidence, alpha),
        methods=methods_of(
            campaign,
            preferences=bool(results.preferences),
            agreement=bool(agreement),
            blinding=bool(results.guesses),
        ),
        problems=(),
        ended_early="" if results.ended_early is None else results.ended_early.reason,
    )
    return msgspec.structs.replace(analysis, problems=problems_of(analysis, campaign.randomization))


def _per_policy(counts: Counts, confidence: float) -> tuple[CellRate, ...]:
    return tuple(
        CellRate(policy=name, task="", layout="", success=rate_of(*counts.pooled(name), confidence))
        for name in counts.policies
    )


def _by_task(campaign: Campaign, counts: Counts, confidence: float) -> tuple[CellRate, ...]:
    rates = []
    for task in campaign.tasks:
        columns = [index for index, layout in enumerate(campaign.layouts) if layout.task == task.name]
        for row, name in enumerate(counts.policies):
            successes, trials = counts.successes[row, columns].sum(), counts.trials[row, columns].sum()
            success = rate_of(int(successes), int(trials), confidence)
            rates.append(CellRate(policy=name, task=task.name, layout="", success=success))
    return tuple(rates)


def _by_layout(campaign: Campaign, counts: Counts, confidence: float) -> tuple[CellRate, ...]:
    return tuple(
        CellRate(
            policy=name,
            task=layout.task,
            layout=layout.name,
            success=rate_of(int(counts.successes[row, column]), int(counts.trials[row, column]), confidence),
        )
        for column, layout in enumerate(campaign.layouts)
        for row, name in enumerate(counts.policies)
    )


def _rubric(results: Results, confidence: float) -> tuple[RubricRate, ...]:
    rates = []
    for task in results.plan.campaign.tasks:
        for index, item in enumerate(task.rubric):
            for policy in results.plan.campaign.policies:
                judged = [
                    trial.rubric[index]
                    for trial in results.trials
                    if trial.task == task.name and trial.policy == policy.name and index < len(trial.rubric)
                ]
                done = rate_of(sum(judged), len(judged), confidence)
                rates.append(RubricRate(policy=policy.name, task=task.name, item=item, done=done))
    return tuple(rates)
