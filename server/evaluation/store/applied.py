"""What came of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.server.evaluation.ledger.records import Receipt
    from unichunk.server.evaluation.ledger.trial import Trial


@dataclass(frozen=True)
class Applied:
    """It is recorded.

    Attributes:
        seq: Number of its event.
        trial: The trial it was about, as it was right after it; None where it was about none.
        repeated: Whether it had been recorded before, under the same key.
        redo: The trial that is done instead of a voided one.
    """

    seq: int
    trial: Trial | None
    repeated: bool
    redo: Trial | None

    @classmethod
    def of(cls, receipt: Receipt, *, repeated: bool) -> Applied:
        """From what the book says."""
        return cls(receipt.seq, receipt.trial, repeated, receipt.redo)
