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
    if not p_values:
        return []
    # Only here: it imports pandas.
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

    adjusted = multipletests([1.0 if p is None else p for p in p_values], method="holm")[1]
    return [None if p is None else float(value) for p, value in zip(p_values, adjusted, strict=True)]


def decided(tests: Sequence[Tested], alpha: float) -> list[Tested]:
    """Tests of a family with `adjusted` and `rejects` filled in."""
    adjusted = holm([test.p for test in tests])
    return [
        msgspec.structs.replace(test, adjusted=value, rejects=value is not None and value <= alpha)
        for test, value in zip(tests, adjusted, strict=True)
    ]
