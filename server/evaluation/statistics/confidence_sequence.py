"""Confidence sequences: intervals that hold at all times at once, however often one looks.

Odds ratio: the coins of `matched_pairs` tested for every bias theta instead of 1/2, with the same bets; those that are
not rejected form the sequence (Robbins 1970). If the odds of success of the two policies have one ratio in all pairs,
as the Mantel-Haenszel estimate also assumes, then theta = ratio / (1 + ratio), whatever each pair's difficulty.

Difference: of a pair's outcomes, in [-1, 1], so sub-Gaussian with variance 1 about its mean given the past: Robbins'
normal mixture bounds the sum of deviations at all times (Howard, Ramdas, McAuliffe & Sekhon 2021, equation 14). It
covers the mean so far of these conditional means, which may drift and need not be equal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.statistics.counts import Ints

Floats = NDArray[np.float64]

BISECTIONS: Final = 60


def odds_ratio_sequence(wins: Ints, losses: Ints, alpha: float) -> tuple[Floats, Floats]:
    """Ends of the confidence sequence of the odds ratio; each also uses what was excluded before.

    Args:
        wins: Pairs where only the first policy succeeded, after each pair, shape (..., n).
        losses: Pairs where only the second one did, shape (..., n).
        alpha: One less the level.

    Returns:
        Low and high ends, shape (..., n) each, from 0 to infinity.
    """
    from scipy.special import betaln, xlog1py, xlogy  # noqa: PLC0415

    # Excluded: log B(w+1, l+1) - w log theta - l log(1 - theta) >= log(1 / alpha).
    bound = np.asarray(betaln(wins + 1.0, losses + 1.0) - math.log(1.0 / alpha), dtype=np.float64)

    def kept(theta: Floats) -> NDArray[np.bool_]:
        return np.asarray(xlogy(wins, theta) + xlog1py(losses, -theta) > bound)

    observed = wins / np.maximum(wins + losses, 1)
    low = _boundary(np.zeros_like(observed), observed, kept)
    high = _boundary(np.ones_like(observed), observed, kept)
    low, high = np.where(wins == 0, 0.0, low), np.where(losses == 0, 1.0, high)
    low, high = np.maximum.accumulate(low, axis=-1), np.minimum.accumulate(high, axis=-1)
    with np.errstate(divide="ignore"):
        return low / (1.0 - low), high / (1.0 - high)


def difference_sequence(differences: Ints, alpha: float, best_at: int) -> tuple[Floats, Floats]:
    """Ends of the confidence sequence of the mean difference so far.

    Args:
        differences: Of each pair's outcomes, -1, 0 or 1, shape (..., n).
        alpha: One less the level.
        best_at: After how many pairs it shall be narrow, chosen before the first trial.

    Returns:
        Low and high ends, shape (..., n) each, in [-1, 1].
    """
    pairs = np.arange(1, differences.shape[-1] + 1, dtype=np.float64)
    evidence = 2.0 * math.log(1.0 / alpha)
    rho = max(best_at, 1) / (evidence + math.log1p(evidence))
    radius = np.sqrt((pairs + rho) * (np.log1p(pairs / rho) + evidence)) / pairs
    mean = np.cumsum(differences, axis=-1) / pairs
    return np.maximum(mean - radius, -1.0), np.minimum(mean + radius, 1.0)


def _boundary(outside: Floats, inside: Floats, kept: Callable[[Floats], NDArray[np.bool_]]) -> Floats:
    for _ in range(BISECTIONS):
        middle = 0.5 * (outside + inside)
        keep = kept(middle)
        inside, outside = np.where(keep, middle, inside), np.where(keep, outside, middle)
    return outside
