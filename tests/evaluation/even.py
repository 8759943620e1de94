"""Whether counts are what equal probabilities give."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

T = TypeVar("T", bound="Hashable")


def is_even(drawn: Iterable[T], among: Iterable[T]) -> bool:
    """Pearson's chi-square of the counts is below its mean by no more than five standard deviations, and not above."""
    counts, choices = Counter(drawn), list(among)
    assert set(counts) <= set(choices), set(counts) - set(choices)
    expected = counts.total() / len(choices)
    assert expected >= 5, "too few for the chi-square"
    statistic = sum((counts[choice] - expected) ** 2 for choice in choices) / expected
    freedom = len(choices) - 1
    return abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)
