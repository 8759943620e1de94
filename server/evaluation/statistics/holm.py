"""Holm's step-down correction over the declared pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.statistics.document import Tested


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values so adjusted that the chance of any false rejection is at most alpha (Holm 1979).

    Args:
        p_values: Of the family; None where one could not be computed: it still counts as a member.

    Returns:
        Adjusted ones, in the same order, None where None was.
    """
    # Written out: statsmodels' `multipletests` collects garbage in every call, which takes longer than the analysis.
    members = len(p_values)
    known = [1.0 if p is None else p for p in p_values]
    adjusted: list[float | None] = [None] * members
    largest = 0.0
    for rank, index in enumerate(sorted(range(members), key=known.__getitem__)):
        largest = max(largest, min(1.0, (members - rank) * known[index]))
        adjusted[index] = None if p_values[index] is None else largest
    return adjusted


def decided(tests: Sequence[Tested], alpha: float) -> list[Tested]:
    """Tests of a family with `adjusted` and `rejects` filled in."""
    adjusted = holm([test.p for test in tests])
    return [
        msgspec.structs.replace(test, adjusted=value, rejects=value is not None and value <= alpha)
        for test, value in zip(tests, adjusted, strict=True)
    ]


def judged(test: Tested, alpha: float) -> Tested:
    """A test that stands alone, with `rejects` filled in."""
    return msgspec.structs.replace(test, rejects=test.p is not None and test.p <= alpha)
