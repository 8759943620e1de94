"""What a complete and opened campaign has shown: the input of all statistics and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.plan import Plan


@dataclass(frozen=True)
class ScoredTrial:
    """One trial that counts.

    Attributes:
        trial: Opaque id.
        order: Its place among all scored trials by time, from 0.
        policy: Name.
        task: Name.
        layout: Name.
        attempt: 0 where the slot's first trial counts.
        success: Whole task.
        rubric: Sub-tasks.
        operator: Who judged.
        robot: Which robot.
        started_at: UTC, [ns].
        duration_s: [s].
        note: Free text.
        unblinded: Whether it was unblinded in an emergency before it was judged.
    """

    trial: str
    order: int
    policy: str
    task: str
    layout: str
    attempt: int
    success: bool
    rubric: tuple[bool, ...]
    operator: str
    robot: str
    started_at: int
    duration_s: float
    note: str
    unblinded: bool = False


@dataclass(frozen=True)
class VoidTrial:
    """One that does not count.

    Attributes:
        trial: Opaque id.
        policy: Name.
        layout: Name.
        reason: What was said.
        cause: `operator`, or the code of the interruption before it.
    """

    trial: str
    policy: str
    layout: str
    reason: str
    cause: str


@dataclass(frozen=True)
class SecondScore:
    """A second rater's judgement of a scored trial."""

    trial: str
    rater: str
    success: bool
    rubric: tuple[bool, ...]


@dataclass(frozen=True)
class PolicyGuess:
    """Which policy an operator took it for; an empty guess: does not know."""

    trial: str
    operator: str
    policy: str
    guess: str


@dataclass(frozen=True)
class Preference:
    """Two trials of a task by two policies; `better` is the name of the better one, empty for neither."""

    first: str
    second: str
    better: str
    operator: str


@dataclass(frozen=True)
class Results:
    """Everything that was recorded, unblinded.

    Attributes:
        plan: What was frozen.
        trials: In the order in which they were judged.
        voids: In the order in which they were voided.
        second_scores: Of raters.
        guesses: Of operators.
        preferences: Of operators.
        log_head: Sequence number and hash of the last event, `123:abcdef...`.
    """

    plan: Plan
    trials: tuple[ScoredTrial, ...]
    voids: tuple[VoidTrial, ...]
    second_scores: tuple[SecondScore, ...]
    guesses: tuple[PolicyGuess, ...]
    preferences: tuple[Preference, ...]
    log_head: str
