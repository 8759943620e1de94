"""What one event changes in a book: the rows that a database has to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.server.evaluation.ledger.entry import Entry
    from unichunk.server.evaluation.ledger.records import Ended, GuessMade, Preferred, Rating, Unblinding
    from unichunk.server.evaluation.ledger.trial import Trial


@dataclass(frozen=True)
class Changes:
    """Decided, and not yet in any book.

    Attributes:
        entry: The event.
        before: The trial it is about, as it was; None where it is about none.
        after: The same trial as it will be; the same object as `before` where nothing of it changes.
        added: A new trial, in place of a voided one.
        rating: A second opinion.
        guess: Which policy it was taken for.
        preference: Of two trials.
        unblinding: Proposed or confirmed.
        recording: SHA-256 of what was recorded of the trial; empty: nothing was.
        ended: That the campaign is ended early.
        opened: Whether the campaign is opened.
    """

    entry: Entry
    before: Trial | None = None
    after: Trial | None = None
    added: Trial | None = None
    rating: Rating | None = None
    guess: GuessMade | None = None
    preference: Preferred | None = None
    unblinding: Unblinding | None = None
    recording: str = ""
    ended: Ended | None = None
    opened: bool = False

    @property
    def scored(self) -> bool:
        """Whether the trial gets its score."""
        return self.after is not None and self.before is not None and (self.before.score is not self.after.score)
