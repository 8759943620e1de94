"""Tests of k policies with layouts as strata: the primary analysis.

Given how many trials of a layout succeeded, and how many each policy had there, chance alone deals successes to
policies like balls from an urn (multiple hypergeometric), layout by layout. The generalized Cochran-Mantel-Haenszel
statistic (Landis, Heyman & Koch 1978, "general association") is the quadratic form of the policies' summed successes
about their expectation; for two policies it is that of Mantel & Haenszel (1959) without correction for continuity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics.document import Tested

if TYPE_CHECKING:
    from unichunk.server.evaluation.statistics.counts import Counts, Ints

Floats = NDArray[np.float64]

LARGEST_EXACT: Final = 20_000
"""Trials of a pair above which the exact distribution is not computed; the two tests agree long before."""


def cmh_statistic(successes: Ints, trials: Ints) -> Floats:
    """Generalized CMH statistic of many tables at once.

    Args:
        successes: Shape (..., P, L).
        trials: Of the same shape, or one that broadcasts to it.

    Returns:
        Shape (...): chi-square with P - 1 degrees of freedom under the null; NaN where nothing can be told, because in
        every layout all trials came out the same, or the variance of some policy is zero.
    """
    successes, trials = np.broadcast_arrays(successes, trials)
    n = trials.astype(np.float64)
    total = n.sum(axis=-2, keepdims=True)
    succeeded = successes.sum(axis=-2, keepdims=True, dtype=np.float64)
    share = n / np.maximum(total, 1.0)
    excess = (successes - share * succeeded).sum(axis=-1)
    spread = succeeded * (total - succeeded) / np.maximum(total - 1.0, 1.0)
    # Covariance of one layout: spread * (diag(share) - share share^T); the last policy follows from the others.
    weighted = spread * share
    covariance = -np.einsum("...pl,...ql->...pq", weighted, share)
    diagonal = np.arange(covariance.shape[-1])
    covariance[..., diagonal, diagonal] += weighted.sum(axis=-1)
    covariance, excess = covariance[..., :-1, :-1], excess[..., :-1]
    return _quadratic_form(covariance, excess)


def cmh_p(successes: Ints, trials: Ints) -> Floats:
    """p-values of `cmh_statistic`, shape (...); NaN as there."""
    from scipy.special import chdtrc  # noqa: PLC0415

    statistic = cmh_statistic(successes, trials)
    return np.asarray(chdtrc(successes.shape[-2] - 1.0, statistic), dtype=np.float64)


def cmh(counts: Counts) -> Tested:
    """The primary test: no difference between these policies on any layout."""
    name = "Cochran-Mantel-Haenszel"
    tried = counts.trials.sum(axis=1) > 0
    if not tried.all():
        missing = ", ".join(policy for policy, has in zip(counts.policies, tried, strict=True) if not has)
        return Tested(name=name, p=None, note=f"no trial of {missing}")
    statistic = float(cmh_statistic(counts.successes, counts.trials))
    if np.isnan(statistic):
        return Tested(name=name, p=None, note=_nothing_to_tell(counts))
    p = float(cmh_p(counts.successes, counts.trials))
    silent = len(counts.layouts) - _informative(counts)
    note = (
        f"{silent} of {len(counts.layouts)} layouts say nothing: all trials came out the same there" if silent else ""
    )
    return Tested(name=name, p=p, statistic=statistic, degrees=len(counts.policies) - 1, note=note)


def exact_stratified(counts: Counts) -> Tested:
    """Exact conditional test of two policies with layouts as strata; Fisher's for one layout.

    The first policy's successes, given all margins of all layouts, are a sum of independent hypergeometric numbers.
    Its distribution is their convolution; the p-value is the probability of all sums that are no more likely.

    Args:
        counts: Of two policies.
    """
    name = "exact stratified"
    if (counts.trials.sum(axis=1) == 0).any():
        return Tested(name=name, p=None, note="no trial of one of the policies")
    if counts.trials.sum() > LARGEST_EXACT:
        return Tested(name=name, p=None, note=f"not computed for more than {LARGEST_EXACT} trials")
    lowest, pmf = _null_distribution(counts)
    observed = pmf[int(counts.successes[0].sum()) - lowest]
    # Sums that are equally likely in truth differ by rounding: R's fisher.test allows the same.
    p = min(1.0, float(pmf[pmf <= observed * (1.0 + 1e-7)].sum()))
    return Tested(name=name, p=p, note=_nothing_to_tell(counts) if pmf.size == 1 else "")


def _null_distribution(counts: Counts) -> tuple[int, Floats]:
    from scipy.stats import hypergeom  # noqa: PLC0415

    lowest, pmf = 0, np.ones(1)
    for column in range(len(counts.layouts)):
        first, total = int(counts.trials[0, column]), int(counts.trials[:, column].sum())
        succeeded = int(counts.successes[:, column].sum())
        low, high = max(0, succeeded - (total - first)), min(first, succeeded)
        lowest += low
        if high > low:
            pmf = np.convolve(pmf, hypergeom.pmf(np.arange(low, high + 1), total, succeeded, first))
    return lowest, pmf


def _quadratic_form(covariance: Floats, excess: Floats) -> Floats:
    if excess.shape[-1] == 1:
        variance = covariance[..., 0, 0]
        known = variance > 1e-12
        return np.where(known, excess[..., 0] ** 2 / np.where(known, variance, 1.0), np.nan)
    eigenvalues = np.linalg.eigvalsh(covariance)
    known = eigenvalues[..., 0] > 1e-9 * np.maximum(eigenvalues[..., -1], 1e-3)
    safe = np.where(known[..., None, None], covariance, np.eye(excess.shape[-1]))
    solved = np.linalg.solve(safe, excess[..., None])[..., 0]
    return np.where(known, np.einsum("...p,...p->...", excess, solved), np.nan)


def _informative(counts: Counts) -> int:
    succeeded, total = counts.successes.sum(axis=0), counts.trials.sum(axis=0)
    several = (counts.trials > 0).sum(axis=0) > 1
    return int(((succeeded > 0) & (succeeded < total) & several).sum())


def _nothing_to_tell(counts: Counts) -> str:
    if _informative(counts) == 0:
        return "nothing to test: in every layout all trials came out the same, or only one policy was tried"
    return "cannot be computed: some policies share no layout where trials came out differently"
