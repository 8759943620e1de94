"""Second ratings that are missing: once the campaign is opened, nobody can give a blinded one any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.errors import NotNow
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore

if TYPE_CHECKING:
    from pathlib import Path


def need_second_ratings(folder: Path) -> None:
    """Refuse to open a campaign whose plan asks for second ratings that nobody has given.

    Trials of which nothing was recorded cannot be rated, and are not asked for.

    Args:
        folder: Of the campaign.

    Raises:
        NotNow: How many are missing.
    """
    store = EvaluationStore.open(folder)
    try:
        book = store.book
        if not book.plan.campaign.rules.second_rater or book.opened:
            return
        rated = {trial for trial, _ in book.ratings}
        missing = sum(trial not in rated and trial in book.recordings for trial in book.judged)
    finally:
        store.close()
    if missing:
        raise NotNow(
            f"{missing} of {len(book.judged)} trials have no second rating, which the plan asks for, and which nobody "
            "can give blinded after the opening: rate them first, or open with --unrated"
        )
