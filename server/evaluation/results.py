"""What a complete and opened campaign has shown: the input of all statistics and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.plan import Plan


LOOKED: Final = "looked"
"""Kind of a deviation: somebody looked at the sequential test before the plan was complete."""


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
        slot: Number of the planned slot that it counts for; -1: not known.
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
    slot: int = -1


@dataclass(frozen=True)
class VoidTrial:
    """One that does not count.

    Attributes:
        trial: Opaque id.
        policy: Name.
        layout: Name.
        reason: What was said.
        cause: Who voided it (`operator`, `admin`, `server`), with `, while it ran` or `, after its end` where they
            could see how it went; or the code of the interruption before it.
        slot: Number of the planned slot that it would have counted for; -1: not known.
    """

    trial: str
    policy: str
    layout: str
    reason: str
    cause: str
    slot: int = -1


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
class Deviation:
    """Something that the log has and a reader of the results has to know, and that is neither a void nor a score.

    Attributes:
        at: When, UTC [ns].
        kind: `clock jumped`, `unblinding proposed`, `unblinding confirmed`, `interrupted`, `counted as failure`,
            `looked`, `ended early` or `note`.
        trial: Opaque id; empty where it is of the whole campaign.
        by: Who.
        detail: By how much, why, or what was written.
    """

    at: int
    kind: str
    trial: str
    by: str
    detail: str


@dataclass(frozen=True)
class EarlyEnd:
    """That a campaign was ended before its plan was complete.

    Attributes:
        by: Who ended it.
        reason: Why.
        looks: How often somebody had looked at the sequential test before.
    """

    by: str
    reason: str
    looks: int = 0


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
        deviations: In the order of the log.
        ended_early: Where the plan was not completed; None otherwise.
    """

    plan: Plan
    trials: tuple[ScoredTrial, ...]
    voids: tuple[VoidTrial, ...]
    second_scores: tuple[SecondScore, ...]
    guesses: tuple[PolicyGuess, ...]
    preferences: tuple[Preference, ...]
    log_head: str
    deviations: tuple[Deviation, ...] = ()
    ended_early: EarlyEnd | None = None
