"""The whole report, before it is set on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.blocks import Document
from unichunk.server.evaluation.report.section_beliefs import posteriors, preferences
from unichunk.server.evaluation.report.section_conduct import deviations, drift, voids
from unichunk.server.evaluation.report.section_front import front, question
from unichunk.server.evaluation.report.section_judges import agreement, blinding
from unichunk.server.evaluation.report.section_latency import latency
from unichunk.server.evaluation.report.section_limits import limits
from unichunk.server.evaluation.report.section_pairs import pairs
from unichunk.server.evaluation.report.section_plan import checks, methods, notes, plan, recordings, remarks
from unichunk.server.evaluation.report.section_sensitivity import sensitivity
from unichunk.server.evaluation.report.section_sequential import sequential
from unichunk.server.evaluation.report.section_success import success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.server.evaluation.report.dataset import Exported
    from unichunk.server.evaluation.report.section_latency import RunCounts
    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult


def content(
    results: Results, analysis: AnalysisResult, exported: Exported, counts: Mapping[str, RunCounts] | None = None
) -> Document:
    """Everything that the report says.

    Args:
        results: What was recorded.
        analysis: What was computed of it.
        exported: What became of the recorded trials.
        counts: Trial -> what the proxy counted in it.
    """
    campaign = results.plan.campaign
    blocks = (
        *front(results, analysis),
        *success(analysis),
        *pairs(analysis),
        *sequential(analysis),
        *posteriors(analysis),
        *preferences(analysis),
        *agreement(analysis),
        *blinding(analysis),
        *voids(results, analysis),
        *deviations(results),
        *drift(results, analysis),
        *latency(results, counts or {}),
        *sensitivity(analysis),
        *limits(results, analysis),
        *plan(results),
        *checks(results),
        *recordings(results, exported),
        *methods(analysis),
        *notes(results),
        *remarks(analysis),
    )
    running = f"{campaign.name}, commitment {results.plan.commitment[:16]}…"
    return Document(campaign.name, question(campaign), running, analysis.policies, blocks)
