"""Everything that was recorded as rows, for files that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from unichunk.server.evaluation.report.words import iso

if TYPE_CHECKING:
    from unichunk.server.evaluation.results import Results

Value: TypeAlias = str | int | float | bool | tuple[bool, ...]


@dataclass(frozen=True)
class Records:
    """Rows under names.

    Attributes:
        name: Of the file, without its ending.
        columns: Names.
        rows: As long as `columns`.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def records(results: Results) -> tuple[Records, ...]:
    """Trials, voids, second scores, guesses, preferences and deviations.

    Args:
        results: What was recorded.
    """
    return (
        trials(results),
        Records(
            "voids",
            ("trial", "policy", "layout", "cause", "reason"),
            tuple((one.trial, one.policy, one.layout, one.cause, one.reason) for one in results.voids),
        ),
        Records(
            "second_scores",
            ("trial", "rater", "success", "rubric"),
            tuple((one.trial, one.rater, one.success, one.rubric) for one in results.second_scores),
        ),
        Records(
            "guesses",
            ("trial", "operator", "policy", "guess"),
            tuple((one.trial, one.operator, one.policy, one.guess) for one in results.guesses),
        ),
        Records(
            "preferences",
            ("first", "second", "better", "operator"),
            tuple((one.first, one.second, one.better, one.operator) for one in results.preferences),
        ),
        Records(
            "deviations",
            ("at", "kind", "trial", "by", "detail"),
            tuple((iso(one.at), one.kind, one.trial, one.by, one.detail) for one in results.deviations),
        ),
    )


def trials(results: Results) -> Records:
    """Every trial that counts, in the order in which they were judged."""
    columns = (
        *("order", "trial", "policy", "task", "layout", "attempt", "success", "rubric", "operator", "robot"),
        *("started_at", "duration_s", "unblinded", "note"),
    )
    rows = (
        (
            *(one.order, one.trial, one.policy, one.task, one.layout, one.attempt, one.success, one.rubric),
            *(one.operator, one.robot, iso(one.started_at), one.duration_s, one.unblinded, one.note),
        )
        for one in results.trials
    )
    return Records("trials", columns, tuple(rows))
