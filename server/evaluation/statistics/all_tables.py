"""p-values of all 2 x 2 tables with given numbers of trials: for exact levels and powers of the tests.

Entry [x, y] of each result is the p-value after x successes of the first policy and y of the second.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics.barnard import score_table

Floats = NDArray[np.float64]


@functools.lru_cache(maxsize=512)
def fisher_table(first: int, second: int) -> Floats:
    """Fisher's exact test, two-sided: the probability, given both margins, of all tables that are no more likely.

    Args:
        first: Trials of the first policy.
        second: Trials of the second one.

    Returns:
        Shape (first + 1, second + 1).
    """
    from scipy.special import gammaln  # noqa: PLC0415

    x, y = np.arange(first + 1), np.arange(second + 1)
    log_first = gammaln(first + 1) - gammaln(x + 1) - gammaln(first - x + 1)
    log_second = gammaln(second + 1) - gammaln(y + 1) - gammaln(second - y + 1)
    p = np.empty((first + 1, second + 1))
    for succeeded in range(first + second + 1):
        of_first = np.arange(max(0, succeeded - second), min(first, succeeded) + 1)
        of_second = succeeded - of_first
        weight = log_first[of_first] + log_second[of_second]
        weight = np.exp(weight - weight.max())
        order = np.sort(weight)
        below = np.searchsorted(order, weight * (1.0 + 1e-7), side="right")
        p[of_first, of_second] = np.cumsum(order)[below - 1] / order.sum()
    return np.minimum(p, 1.0)


@functools.lru_cache(maxsize=512)
def cmh_table(first: int, second: int) -> Floats:
    """Cochran-Mantel-Haenszel with one stratum; 1 where all trials came out the same.

    Args:
        first: Trials of the first policy.
        second: Trials of the second one.

    Returns:
        Shape (first + 1, second + 1).
    """
    from scipy.special import chdtrc  # noqa: PLC0415

    total = first + second
    return np.asarray(chdtrc(1.0, score_table(first, second) * (total - 1.0) / total), dtype=np.float64)


def rejection_probability(p_values: Floats, alpha: float, first_rate: float, second_rate: float) -> float:
    """Chance that a test rejects: its level where both rates are the same, its power where they are not.

    Args:
        p_values: Of all tables.
        alpha: Level it is used at.
        first_rate: True success rate of the first policy.
        second_rate: Of the second one.
    """
    from scipy.stats import binom  # noqa: PLC0415

    first, second = p_values.shape[0] - 1, p_values.shape[1] - 1
    of_first = binom.pmf(np.arange(first + 1), first, first_rate)
    of_second = binom.pmf(np.arange(second + 1), second, second_rate)
    return float(of_first @ (p_values <= alpha).astype(np.float64) @ of_second)
