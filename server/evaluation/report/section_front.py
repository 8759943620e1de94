"""The first page: the question, the answer, and what was fixed before anybody saw a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.report.blocks import Bullets, Callout, Fact, Facts, Figure, Heading
from unichunk.server.evaluation.report.plot_success import success_plot
from unichunk.server.evaluation.report.verdict import verdict
from unichunk.server.evaluation.report.words import joined, moment, number, percent, plural
from unichunk.server.evaluation.statistics.problems import not_completed

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.report.blocks import Block
    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult

_ORDERS = {
    Randomization.REPLICATE_BLOCKS: "replicate blocks: every cell (layout and policy) once in each block, shuffled",
    Randomization.LAYOUT_GROUPED: "layout grouped: in each replicate the layouts in random order, and on each all "
    "policies, shuffled",
    Randomization.INDEPENDENT_DRAW: "independent draw: each trial draws a layout, then a policy, among the cells that "
    "are not complete",
}


MOST_PROBLEMS: Final = 6
"""So many are on the first page; with more, all are at the end, too."""


def question(campaign: Campaign) -> str:
    """What the campaign asks, in a sentence."""
    tasks = joined([f"“{task.instruction}”" for task in campaign.tasks[:3]])
    more = f" and {plural(len(campaign.tasks) - 3, 'more task')}" if len(campaign.tasks) > 3 else ""
    amount = len(campaign.policies)
    return (
        f"Do {plural(amount, 'policy', 'policies')} differ in how often they succeed at {tasks}{more}, "
        f"on {plural(len(campaign.layouts), 'preset layout')} of the scene?"
    )


def front(results: Results, analysis: AnalysisResult) -> list[Block]:
    """The first page.

    Args:
        results: What was recorded.
        analysis: What was computed of it.
    """
    plan = results.plan
    answer = verdict(analysis)
    blocks: list[Block] = [*_early_end(results, analysis), Callout("result", answer.title, answer.paragraphs)]
    if problems := _problems(analysis):
        blocks.append(Callout("warning", "Read this first", problems))
    caption = (
        f"Success of each policy, all layouts together. Thick: Wilson's interval; thin: Clopper and Pearson's exact "
        f"one; both at {percent(analysis.confidence)}, each for one policy by itself."
    )
    blocks += [
        Figure(success_plot(analysis.success, analysis.policies), caption),
        Heading("Frozen before the first trial", 3),
        Facts(
            (
                Fact("Frozen at", plan.frozen_at),
                Fact("Commitment", plan.commitment, fixed=True),
                Fact("Campaign", plan.campaign_id, fixed=True),
                Fact("Head of the log", results.log_head, fixed=True),
                Fact("Log signed by", plan.signing_key, fixed=True),
                Fact("Trials", _span(results)),
            )
        ),
        Heading("Declared before the first trial", 3),
        Bullets(declared(plan.campaign)),
    ]
    return blocks


def _early_end(results: Results, analysis: AnalysisResult) -> list[Block]:
    """Before everything else: that the plan was not completed, and what that does to the tests."""
    end = results.ended_early
    if end is None:
        return []
    looks = f"after {plural(end.looks, 'look')} at the sequential test" if end.looks else "without a recorded look"
    who = f"{end.by} ended it {looks}. The reason that was given: “{end.reason}”"
    return [Callout("warning", "The plan was not completed.", (_sentence(not_completed(analysis)), who))]


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def declared(campaign: Campaign) -> tuple[str, ...]:
    """What the plan says of how trials are run and analysed, one line each."""
    analysis, rules, blinding = campaign.analysis, campaign.rules, campaign.blinding
    baseline = analysis.baseline or campaign.policies[0].name
    pairs = "all pairs of policies" if analysis.pairs == "all" else f"each policy against {baseline}"
    amount = plural(campaign.trials_per_cell, "trial")
    latency = (
        f"every chunk takes effect {plural(blinding.equalized_ticks, 'tick')} after its observation, for all policies "
        f"alike; one that comes later {'is dropped' if blinding.on_miss == 'hold' else 'takes effect when it comes'}"
        if blinding.equalized_ticks
        else "not equalized: every policy acts with its own latency, which its motion may show"
    )
    died = "void, and done again later at a random place" if rules.policy_death == "void" else "counted as a failure"
    return (
        f"{amount} for each policy on each layout, {campaign.trials} in all, fixed in advance.",
        f"Order: {_ORDERS[campaign.randomization]}.",
        f"Primary test: Cochran-Mantel-Haenszel over {pairs_of(campaign)} with layouts as strata, "
        f"α = {number(analysis.alpha)}.",
        f"Then {pairs}, with Holm's correction; a sequential test for looking early: "
        f"{'yes' if analysis.sequential else 'no'}.",
        f"A trial whose policy died: {died}.",
        f"Latency: {latency}.",
        f"Second raters: {'every trial' if rules.second_rater else 'none'}. "
        f"Operators guess the policy: {'yes' if blinding.guesses else 'no'}. "
        f"Operators state preferences: {'yes' if rules.preferences else 'no'}.",
    )


def pairs_of(campaign: Campaign) -> str:
    """`both policies`, `all 3 policies`."""
    amount = len(campaign.policies)
    return "both policies" if amount == 2 else f"all {amount} policies"


def _problems(analysis: AnalysisResult) -> tuple[str, ...]:
    """The first of them, those on the whole campaign before those on single pairs."""
    beginnings = tuple(f"{pair.first} against {pair.second}:" for pair in analysis.pairs)
    said = [not_completed(analysis)] if analysis.ended_early else []
    ordered = sorted(
        (one for one in analysis.problems if one not in said), key=lambda problem: problem.startswith(beginnings)
    )
    more = len(ordered) - MOST_PROBLEMS
    return (*ordered[:MOST_PROBLEMS], *([f"{plural(more, 'more remark')}, see the end"] if more > 0 else []))


def _span(results: Results) -> str:
    began = [trial.started_at for trial in results.trials if trial.started_at]
    scored = f"{len(results.trials)} scored, {len(results.voids)} void"
    return f"{scored}; {moment(min(began))} to {moment(max(began))}" if began else scored
