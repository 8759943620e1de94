"""Everything that was recorded, with the policies' names: the input of statistics and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.errors import Sealed
from unichunk.server.evaluation.results import (
    LOOKED,
    EarlyEnd,
    PolicyGuess,
    Preference,
    Results,
    ScoredTrial,
    SecondScore,
    VoidTrial,
)
from unichunk.server.evaluation.store.deviations import deviations_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from unichunk.server.evaluation.ledger.book import Book
    from unichunk.server.evaluation.ledger.entry import Entry
    from unichunk.server.evaluation.ledger.records import Preferred
    from unichunk.server.evaluation.ledger.trial import Trial
    from unichunk.server.evaluation.results import Deviation
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore


def results_of(store: EvaluationStore, policies: Mapping[int, str]) -> Results:
    """The results of a campaign that was opened.

    Args:
        store: Its records.
        policies: Name of each slot's policy.

    Raises:
        Sealed: Where it was not opened: nobody looks at results by policy before every trial is scored.
    """
    book = store.book
    if not book.opened:
        raise Sealed(
            f"{len(book.judged)} of {len(book.plan.slots)} trials are scored and the campaign was not opened:"
            " `unichunk eval unblind` opens it when all are"
        )
    deviations = deviations_of(entries_of(store))
    return Results(
        plan=store.plan,
        trials=scored_of(book, policies),
        voids=(
            *(_void(book, trial, policies) for trial in book.voided),
            *(_cut_off(trial, policies) for trial in book.held),
        ),
        second_scores=tuple(
            SecondScore(rating.trial, rating.rater, rating.score.success, rating.score.rubric)
            for rating in book.ratings.values()
        ),
        guesses=tuple(
            PolicyGuess(guess.trial, guess.operator, policies[book.trials[guess.trial].slot], guess.policy)
            for guess in book.guesses.values()
        ),
        preferences=tuple(_preference(book, preferred, policies) for preferred in book.preferences.values()),
        log_head=str(store.head()),
        deviations=deviations,
        ended_early=_early_end(book, deviations),
    )


def scored_of(book: Book, policies: Mapping[int, str]) -> tuple[ScoredTrial, ...]:
    """The trials that are scored, in the order in which they were.

    Args:
        book: Of the campaign.
        policies: Name of each slot's policy.
    """
    return tuple(_scored(book, order, trial, policies) for order, trial in enumerate(book.judged))


def _early_end(book: Book, deviations: Sequence[Deviation]) -> EarlyEnd | None:
    if book.ended is None:
        return None
    looks = sum(deviation.kind == LOOKED for deviation in deviations)
    return EarlyEnd(book.ended.by, book.ended.reason, looks)


def entries_of(store: EvaluationStore) -> Iterator[Entry]:
    """All of a log, in its order."""
    after = 0
    while events := store.events(after):
        yield from (event.entry for event in events)
        after = events[-1].seq


def _scored(book: Book, order: int, trial_id: str, policies: Mapping[int, str]) -> ScoredTrial:
    trial = book.trials[trial_id]
    score = trial.score
    assert score is not None
    unblinded = (one.before_score for one in book.unblindings.values() if book.trials[one.trial].slot == trial.slot)
    return ScoredTrial(
        trial=trial.id,
        slot=trial.slot,
        order=order,
        policy=policies[trial.slot],
        task=book.task_of(trial).name,
        layout=trial.layout,
        attempt=trial.attempt,
        success=score.success,
        rubric=score.rubric,
        operator=trial.operator,
        robot=trial.robot,
        started_at=trial.started_at,
        duration_s=trial.duration_s,
        note=score.note,
        unblinded=any(unblinded),
    )


def _void(book: Book, trial_id: str, policies: Mapping[int, str]) -> VoidTrial:
    trial = book.trials[trial_id]
    return VoidTrial(
        trial=trial.id,
        slot=trial.slot,
        policy=policies[trial.slot],
        layout=trial.layout,
        reason=trial.reason,
        cause=book.causes[trial.id],
    )


def _cut_off(trial: Trial, policies: Mapping[int, str]) -> VoidTrial:
    """An interrupted trial that nobody voided before the campaign was ended."""
    return VoidTrial(
        trial=trial.id,
        slot=trial.slot,
        policy=policies[trial.slot],
        layout=trial.layout,
        reason="interrupted; the campaign was ended before it was voided",
        cause=trial.reason,
    )


def _preference(book: Book, preferred: Preferred, policies: Mapping[int, str]) -> Preference:
    better = {"this": preferred.trial, "other": preferred.other}.get(preferred.better)
    name = policies[book.trials[better].slot] if better else ""
    return Preference(preferred.trial, preferred.other, name, preferred.operator)
