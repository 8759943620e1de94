"""What cannot be concluded: of every campaign of this kind, and of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.planning.source_kind import SourceKind, source_kind
from unichunk.server.evaluation.report.blocks import Bullets, Heading
from unichunk.server.evaluation.report.words import joined, percent, plural

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.report.blocks import Block
    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult


def limits(results: Results, analysis: AnalysisResult) -> list[Block]:
    """The list.

    Args:
        results: What was recorded.
        analysis: What was computed.
    """
    campaign = results.plan.campaign
    said = (*_of_every_one(results, analysis), *_of_the_plan(campaign), *_of_what_happened(results, analysis))
    return [Heading("What cannot be concluded"), Bullets(said)]


def _of_every_one(results: Results, analysis: AnalysisResult) -> list[str]:
    campaign = results.plan.campaign
    robots = joined(sorted({trial.robot for trial in results.trials if trial.robot}))
    where = f" on {robots}" if robots else ""
    people = len({trial.operator for trial in results.trials if trial.operator})
    judges = f", judged by {plural(people, 'operator')}" if people else ""
    chance = 1 - analysis.confidence
    return [
        f"Nothing about other scenes: these are {plural(len(campaign.layouts), 'preset layout')}{where}{judges}. The "
        f"intervals say how far chance reaches on these layouts, not on others.",
        "That no difference was shown is not that there is none. How large a difference may be is in the intervals.",
        f"Intervals are for one policy at a time: of several at once, more than {percent(chance)} may miss.",
        "Rates per layout, per task and per sub-task are described and were not tested; to pick the most striking one "
        "afterwards is to be misled.",
        "The numbers are of the policies with the hashes below, at the settings below; another checkpoint, latency or "
        "robot is another policy.",
    ]


def _of_the_plan(campaign: Campaign) -> list[str]:
    said: list[str] = []
    kinds = {policy.name: source_kind(policy.source) for policy in campaign.policies}
    unverified = [name for name, kind in kinds.items() if kind is SourceKind.OPENPI_SERVER]
    if unverified:
        said.append(
            f"That {joined(unverified)} ran what it is called: openpi's protocol has no digest, so only the declared "
            f"address was frozen."
        )
    if campaign.blinding.equalized_ticks:
        said.append(
            f"How policies do at their own speed: all were held to {plural(campaign.blinding.equalized_ticks, 'tick')} "
            f"of latency, which a faster one does not need."
        )
    else:
        said.append(
            "That only what policies decide differs: their latencies were not equalized, so a faster one may owe its "
            "success to that, and be recognized by it."
        )
    if campaign.analysis.pairs == "baseline" and len(campaign.policies) > 2:
        said.append("Whether policies other than the baseline differ from each other: those pairs were not declared.")
    if not campaign.rules.second_rater:
        said.append("Whether another judge would have scored alike: no trial was judged twice.")
    if not campaign.blinding.guesses:
        said.append("Whether operators recognized policies by their motion: they were not asked.")
    return said


def _of_what_happened(results: Results, analysis: AnalysisResult) -> list[str]:
    said: list[str] = []
    campaign = results.plan.campaign
    if analysis.trials < analysis.planned:
        said.append(
            "Anything at the stated level: the plan is not complete, and the tests hold at its end only."
            + (" The sequential test alone may be read now." if campaign.analysis.sequential else "")
        )
    redrawn = analysis.randomization
    if analysis.omnibus.rejects and redrawn.p is not None and not redrawn.rejects:
        said.append(
            "That the difference is more than drift or an unlucky order: judged by redrawing the plan's order, which "
            "holds whatever drifted, it was not shown."
        )
    apart = [pair for pair in analysis.pairs if pair.cmh.rejects and not pair.randomization.rejects]
    if apart:
        names = joined([f"{pair.first} and {pair.second}" for pair in apart])
        said.append(
            f"That {names} differ whatever drifted: their primary test says so, but judged by redrawing the plan's "
            f"order it was not shown."
        )
    if analysis.voids.difference.rejects:
        said.append(
            "That leaving void trials out is harmless: they fell on some policies more than on others. See other "
            "readings of the data."
        )
    if any(trial.unblinded for trial in results.trials):
        said.append("That every score was blind: see the emergency unblindings under deviations.")
    if analysis.blinding is not None and analysis.blinding.recognized.rejects:
        said.append("That scores are free of expectations: operators recognized policies more often than by chance.")
    if any(one.conclusions_change for one in analysis.sensitivity):
        said.append("Anything that does not survive the other readings of the data above.")
    return said
