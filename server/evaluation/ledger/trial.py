"""One trial, and what it can be in."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class TrialState(str, enum.Enum):
    """What a trial is in."""

    PLANNED = "planned"
    LEASED = "leased"
    """An operator has taken it, and sets the scene."""
    ARMED = "armed"
    """The robot is in its start pose and holds."""
    RUNNING = "running"
    """The policy drives."""
    AWAITING_SCORE = "awaiting score"
    SCORED = "scored"
    VOID = "void"
    """Does not count; a new trial takes its slot later."""
    INTERRUPTED = "interrupted"
    """Cut off: a robot, policy or server was lost."""


@dataclass(frozen=True)
class Score:
    """What somebody saw.

    Attributes:
        success: Whether the whole task was done.
        rubric: Which sub-tasks were, in the task's order.
        note: Free text.
        by: Who.
    """

    success: bool
    rubric: tuple[bool, ...]
    note: str
    by: str


@dataclass(frozen=True)
class Trial:
    """One trial as everybody may see it who runs the campaign; its policy is not here.

    Attributes:
        id: Opaque, fresh.
        slot: Number of the planned slot that it counts for. Not for operators: it links a redone trial to a void one.
        attempt: 0 for the slot's first trial. Not for operators either.
        position: Key of the order in which trials are taken, unique.
        layout: Name of the layout.
        state: What it is in.
        operator: Who took it; empty where nobody has.
        robot: Which robot; empty where none.
        score: The score; None before.
        reason: Why it is void or interrupted; empty otherwise.
        started_at: When the policy began to drive, UTC [ns]; 0 before.
        ended_at: When it ended, UTC [ns]; 0 before.
        duration_s: By the monotonic clock, [s].
        version: Grows with every change.
    """

    id: str
    slot: int
    attempt: int
    position: float
    layout: str
    state: TrialState = TrialState.PLANNED
    operator: str = ""
    robot: str = ""
    score: Score | None = None
    reason: str = ""
    started_at: int = 0
    ended_at: int = 0
    duration_s: float = 0.0
    version: int = 0
