"""Where voided trials are done again, as the campaign's keys draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from unichunk.server.evaluation.planning.redo import redo_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.ledger.book import Book
    from unichunk.server.evaluation.ledger.entry import Redo
    from unichunk.server.evaluation.planning.plan import Plan

    RedoRule: TypeAlias = Callable[[Book, str], Redo]
    """Of a book and a trial's id: what is done instead, if it is voided now; raises `NotFound`."""


def redo_rule(plan: Plan, id_key: bytes, redo_key: bytes) -> RedoRule:
    """The rule of a campaign.

    Args:
        plan: The plan.
        id_key: Makes opaque ids.
        redo_key: Draws places.
    """

    def redo(book: Book, trial: str) -> Redo:
        method = plan.campaign.randomization
        return redo_of(book.trial(trial), book.in_order(), method=method, id_key=id_key, redo_key=redo_key)

    return redo
