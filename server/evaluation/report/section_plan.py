"""The plan as it was frozen, how to check it, what was computed how, and what operators wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.planning.source_kind import VOUCHED, source_kind
from unichunk.server.evaluation.report.blocks import Bullets, Fact, Facts, Heading, Named, NewPage, Table, Text
from unichunk.server.evaluation.report.section_front import MOST_PROBLEMS
from unichunk.server.evaluation.report.words import number, plural

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.report.dataset import Exported
    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult


def plan(results: Results) -> list[Block]:
    """Policies, tasks and layouts, as frozen.

    Args:
        results: What was recorded.
    """
    campaign = results.plan.campaign
    blinding = campaign.blinding
    policies: list[tuple[Cell, ...]] = [
        (
            Named(policy.name),
            policy.source,
            policy.sha256 or "none",
            _vouched(policy.source),
            str(policy.refinement_rounds),
        )
        for policy in campaign.policies
    ]
    settings = Facts(
        (
            Fact("Robot", campaign.robot),
            Fact("Rows in an answer", f"{blinding.rows} ticks"),
            Fact("Answers leave after", f"{number(blinding.answer_ms, 6)} ms"),
            Fact("Lease", f"{number(campaign.rules.lease_s, 6)} s"),
            Fact("Sealed to", results.plan.admin_key, fixed=True),
        )
    )
    return [
        NewPage(),
        Heading("The plan"),
        settings,
        Heading("Policies", 3),
        Table(("policy", "source", "SHA-256", "of", "refinement rounds"), tuple(policies), "llllr"),
        *_tasks(campaign),
    ]


def checks(results: Results) -> list[Block]:
    """How somebody else checks that this is what was planned and recorded.

    Args:
        results: What was recorded.
    """
    return [
        Heading("How to check this"),
        Bullets(
            (
                "Compare the commitment above with the one that was published before the first trial: this report "
                "cannot know that. It is the SHA-256 of salt, seed and plan, so none of them could be changed after.",
                "The command unichunk eval verify DIR checks every signature of the log, its chain, that each table is "
                "what the log says, and, after the opening, that the order of trials is the one that the seed gives.",
                f"The log ended with event {results.log_head.partition(':')[0]}; whoever exported an earlier head can "
                f"check with its option --head that it is part of this log.",
                "trials.csv and trials.parquet have every trial, analysis.json every number of this report. In the CSV "
                "files text that a spreadsheet would take for a formula has an apostrophe in front.",
            )
        ),
    ]


def recordings(results: Results, exported: Exported) -> list[Block]:
    """What was recorded of the robot, and what is missing of it.

    Args:
        results: What was recorded.
        exported: What became of it.
    """
    if not exported.episodes and not exported.left_out:
        return [Heading("Recordings"), Text("Nothing was recorded of the robot in these trials.")]
    said = (
        f"lerobot/ is a LeRobot dataset (format v3.0) of {plural(exported.episodes, 'episode')}, for "
        f"{plural(len(results.trials), 'trial')} that {'counts' if len(results.trials) == 1 else 'count'}. "
        f"{_missing(exported)}"
    )
    rows: list[tuple[Cell, ...]] = list(exported.left_out)
    listed = [Table(("trial", "why its recording is left out"), tuple(rows), "ll")] if rows else []
    return [Heading("Recordings"), Text(said), *listed]


def _missing(exported: Exported) -> str:
    said = f"Of {plural(exported.unrecorded, 'trial')} nothing was recorded. " if exported.unrecorded else ""
    unusable = f"{plural(len(exported.left_out), 'recording')} could not be used." if exported.left_out else ""
    return f"{said}{unusable}" or "None is missing."


def methods(analysis: AnalysisResult) -> list[Block]:
    """What was computed how.

    Args:
        analysis: What was computed.
    """
    rows: list[tuple[Cell, ...]] = [(method.name, method.how, method.source) for method in analysis.methods]
    return [Heading("Methods"), Table(("what", "how", "source"), tuple(rows), "lll")]


def remarks(analysis: AnalysisResult) -> list[Block]:
    """Everything that could not be computed or needs care, where the first page has no room for all of it.

    Args:
        analysis: What was computed.
    """
    if len(analysis.problems) <= MOST_PROBLEMS:
        return []
    return [Heading("Remarks"), Bullets(analysis.problems)]


def notes(results: Results) -> list[Block]:
    """What operators wrote, word for word.

    Args:
        results: What was recorded.
    """
    rows: list[tuple[Cell, ...]] = [
        (str(trial.order + 1), Named(trial.policy), trial.layout, "success" if trial.success else "failure", trial.note)
        for trial in results.trials
        if trial.note
    ]
    if not rows:
        return []
    said = "Word for word, as they were written with the score; the policy was sealed then, but for trials that were "
    said += "unblinded in an emergency."
    headers = ("trial", "policy", "layout", "outcome", "note")
    return [Heading("Operators' notes"), Text(said), Table(headers, tuple(rows), "rllll")]


def _vouched(source: str) -> str:
    """What a policy's hash stands for."""
    kind = source_kind(source)
    return "" if kind is None else VOUCHED[kind]


def _tasks(campaign: Campaign) -> list[Block]:
    tasks: list[tuple[Cell, ...]] = [
        (task.name, task.instruction, task.success, f"{number(task.timeout_s, 6)} s", "; ".join(task.rubric))
        for task in campaign.tasks
    ]
    layouts: list[tuple[Cell, ...]] = [
        (layout.name, layout.task, layout.description, layout.photo_sha256 or "none") for layout in campaign.layouts
    ]
    return [
        Heading("Tasks", 3),
        Table(("task", "instruction", "success is", "time-out", "sub-tasks"), tuple(tasks), "lllrl"),
        Heading("Layouts", 3),
        Table(("layout", "task", "description", "SHA-256 of the photo"), tuple(layouts), "llll"),
    ]
