"""p-values of all 2 x 2 tables with given numbers of trials: for exact levels and powers of the tests.

Entry [x, y] of each result is the p-value after x successes of the first policy and y of the second.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUISANCE: Final = 512
"""Common success rates in (0, 1/2] at which Barnard's p-value is evaluated; tables are symmetric about 1/2."""

_TIES: Final = 1e-9


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


@functools.lru_cache(maxsize=64)
def barnard_table(first: int, second: int) -> Floats:
    """Barnard's test with the pooled Wald statistic: the largest probability, over common rates, of its tail.

    Args:
        first: Trials of the first policy.
        second: Trials of the second one.

    Returns:
        Shape (first + 1, second + 1).
    """
    from scipy.stats import binom  # noqa: PLC0415

    score = np.sqrt(_score(first, second)).ravel()
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order]) < -_TIES), score.size - 1)
    largest = np.zeros(ends.size)
    for rate in np.linspace(0.0, 0.5, NUISANCE + 1)[1:]:
        of_first = binom.pmf(np.arange(first + 1), first, rate)
        of_second = binom.pmf(np.arange(second + 1), second, rate)
        tail = np.cumsum(np.outer(of_first, of_second).ravel()[order])[ends]
        np.maximum(largest, tail, out=largest)
    p = np.empty(score.size)
    p[order] = largest[np.searchsorted(ends, np.arange(score.size))]
    return np.minimum(p, 1.0).reshape(first + 1, second + 1)


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
    return np.asarray(chdtrc(1.0, _score(first, second) * (total - 1.0) / total), dtype=np.float64)


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


def _score(first: int, second: int) -> Floats:
    """Square of the pooled Wald statistic; 0 where all trials came out the same."""
    x, y = np.arange(first + 1)[:, None], np.arange(second + 1)[None, :]
    pooled = (x + y) / (first + second)
    variance = pooled * (1.0 - pooled) * (1.0 / first + 1.0 / second)
    known = variance > 0
    return np.where(known, (x / first - y / second) ** 2 / np.where(known, variance, 1.0), 0.0)
