"""What the tables have to hold, given a book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from unichunk.server.evaluation.planning.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.server.evaluation.ledger.book import Book
    from unichunk.server.evaluation.ledger.records import Rating
    from unichunk.server.evaluation.ledger.trial import Score, Trial
    from unichunk.server.evaluation.planning.plan import Plan, PlannedSlot

Row: TypeAlias = dict[str, Any]


def campaign_row(plan: Plan) -> Row:
    """The campaign."""
    document = canonical_json(plan).decode()
    return {"id": 1, "campaign_id": plan.campaign_id, "commitment": plan.commitment, "plan": document}


def slot_row(slot: PlannedSlot) -> Row:
    """One slot."""
    return {"slot": slot.slot, "trial": slot.trial, "layout": slot.layout, "sealed_policy": slot.sealed_policy}


def trial_row(trial: Trial) -> Row:
    """One trial, without its score."""
    return {
        "id": trial.id,
        "slot": trial.slot,
        "attempt": trial.attempt,
        "position": trial.position,
        "layout": trial.layout,
        "state": trial.state.value,
        "operator": trial.operator,
        "robot": trial.robot,
        "reason": trial.reason,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
        "duration_s": trial.duration_s,
        "version": trial.version,
    }


def score_row(trial: str, score: Score, seq: int) -> Row:
    """The score of a trial."""
    return {"trial": trial, **_judgement(score), "judge": score.by, "seq": seq}


def rating_row(rating: Rating) -> Row:
    """A second score."""
    return {"trial": rating.trial, "rater": rating.rater, **_judgement(rating.score), "seq": rating.seq}


def request_row(key: str, digest: str, seq: int) -> Row:
    """One idempotency key."""
    return {"key": key, "digest": digest, "seq": seq}


def rows_of(book: Book, scored_at: dict[str, int]) -> dict[str, Iterator[Row]]:
    """All rows of all tables but the log, by table.

    Args:
        book: The fold of the log.
        scored_at: Number of the event that scored a trial, by its id.
    """
    trials = book.in_order()
    return {
        "campaign": iter([campaign_row(book.plan)]),
        "slots": map(slot_row, book.plan.slots),
        "trials": map(trial_row, trials),
        "scores": (score_row(trial.id, trial.score, scored_at[trial.id]) for trial in trials if trial.score),
        "second_scores": map(rating_row, book.ratings.values()),
        "requests": (request_row(key, receipt.digest, receipt.seq) for key, receipt in book.receipts.items()),
    }


def _judgement(score: Score) -> Row:
    rubric = "".join("1" if done else "0" for done in score.rubric)
    return {"success": int(score.success), "rubric": rubric, "note": score.note}
