"""Ratios of what was measured in the same rounds: medians with intervals, no conclusion from one run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import comb
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE: Final = 0.95

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Ratio:
    """How many times as much one case took (or reached) as another.

    Attributes:
        median: Of the pairs.
        low: Lower end of the interval.
        high: Upper end.
        confidence: That the interval holds the true median; below 0.95 where there are fewer than six pairs, and 0
            where one pair says nothing about its spread.
        pairs: Number of rounds.
        better: Which direction is an improvement.
    """

    median: float
    low: float
    high: float
    confidence: float
    pairs: int
    better: Better

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """As a table shows it."""
        if self.confidence < CONFIDENCE:
            return f"{self.median:.3g} ({self.pairs} pairs: no 95 % interval; {self.low:.3g} to {self.high:.3g})"
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float], *, better: Better) -> Ratio:
    """The median of the ratios of each round, with its distribution-free interval.

    The interval is that of order statistics: the k-th smallest and the k-th largest of n ratios hold the true median
    with probability 1 - 2 P(Binomial(n, 1/2) < k), whatever the distribution (Conover, Practical Nonparametric
    Statistics, section 3.2). The narrowest with at least 95 % is taken; below six pairs there is none, and the whole
    range stands there with what it is worth.

    Args:
        numerator: One value a round, positive.
        denominator: One value a round, of the same rounds, positive.
        better: Which direction is an improvement.

    Raises:
        ValueError: Where the numbers of rounds differ, are none, or a value is not positive and finite.
    """
    above, below = np.asarray(numerator, float), np.asarray(denominator, float)
    if above.shape != below.shape or above.ndim != 1 or not above.size:
        raise ValueError(f"expected one value of each case for every round, got {above.shape} and {below.shape}")
    if not (np.isfinite(above).all() and np.isfinite(below).all() and (above > 0).all() and (below > 0).all()):
        raise ValueError(f"expected positive numbers, got {numerator} and {denominator}")
    ratios = np.sort(above / below)
    rank, confidence = interval_rank(len(ratios))
    return Ratio(
        median=float(np.median(ratios)),
        low=float(ratios[rank - 1]),
        high=float(ratios[-rank]),
        confidence=confidence,
        pairs=len(ratios),
        better=better,
    )


def interval_rank(count: int) -> tuple[int, float]:
    """Which order statistics, counted from both ends from 1, bound the median of `count` values, and how surely."""

    def confidence(rank: int) -> float:
        outside = sum(comb(count, i) for i in range(rank))
        return max(0.0, 1.0 - 2.0 * (outside / float(2**count)))

    rank = 1
    while 2 * (rank + 1) <= count and confidence(rank + 1) >= CONFIDENCE:
        rank += 1
    return rank, confidence(rank)
