"""What is written down about trials besides their states and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from unichunk.server.evaluation.ledger.trial import Score, Trial


@dataclass(frozen=True)
class Rating:
    """A second opinion on a scored trial.

    Attributes:
        trial: Its id.
        rater: Who judged.
        score: What they saw.
        seq: Number of the event.
    """

    trial: str
    rater: str
    score: Score
    seq: int


@dataclass(frozen=True)
class GuessMade:
    """Which policy an operator took a trial for; empty: does not know."""

    trial: str
    operator: str
    policy: str


@dataclass(frozen=True)
class Preferred:
    """Which of two trials of a task was better, in the eyes of who ran both."""

    trial: str
    other: str
    better: Literal["this", "other", "neither"]
    operator: str


@dataclass(frozen=True)
class Unblinding:
    """An emergency: two people want to know which policy a trial was.

    Attributes:
        trial: Its id.
        reason: Why.
        proposed_by: The first one.
        confirmed_by: The second one; empty while there is none: nothing is shown to anybody until then.
        before_score: Whether it was confirmed before the trial, or the one that is done again for it, was judged.
    """

    trial: str
    reason: str
    proposed_by: str
    confirmed_by: str = ""
    before_score: bool = False


@dataclass(frozen=True)
class Ended:
    """The campaign was ended before its plan was complete.

    Attributes:
        reason: Why.
        by: Who ended it.
    """

    reason: str
    by: str


@dataclass(frozen=True)
class Receipt:
    """What a command did, kept under its idempotency key.

    Attributes:
        seq: Number of its event.
        digest: SHA-256 of who did what, hexadecimal: the same key with another one is refused.
        trial: The trial afterwards; None where the command was not about one.
        redo: The trial that is done instead of a voided one.
    """

    seq: int
    digest: str
    trial: Trial | None
    redo: Trial | None
