"""Beta posteriors of success rates from Jeffreys' prior, and the probability that one is the largest."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics.document import Interval, Posterior

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]

JEFFREYS: Final = 0.5
NODES: Final = 64
PANELS: Final = 16


def posteriors(policies: Sequence[str], counts: Sequence[tuple[int, int]], confidence: float) -> tuple[Posterior, ...]:
    """Posterior of every policy.

    Args:
        policies: Names.
        counts: Successes and trials of each.
        confidence: Level of the credible intervals.
    """
    from scipy.special import betaincinv  # noqa: PLC0415

    parameters = [_parameters(count) for count in counts]
    tail = 0.5 * (1.0 - confidence)
    found = []
    for index, (name, (a, b)) in enumerate(zip(policies, parameters, strict=True)):
        low, high = betaincinv(a, b, [tail, 1.0 - tail])
        found.append(
            Posterior(
                policy=name,
                a=a,
                b=b,
                mean=a / (a + b),
                credible=Interval(low=float(low), high=float(high)),
                best=_largest(parameters[index], parameters[:index] + parameters[index + 1 :]),
            )
        )
    return tuple(found)


def probability_better(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Posterior probability that the first rate is larger than the second.

    Args:
        first: Successes and trials.
        second: Successes and trials.
    """
    return _largest(_parameters(first), [_parameters(second)])


def _parameters(count: tuple[int, int]) -> tuple[float, float]:
    return count[0] + JEFFREYS, count[1] - count[0] + JEFFREYS


def _largest(one: tuple[float, float], others: Sequence[tuple[float, float]]) -> float:
    """P(X > all others) = E[F_1(X) F_2(X) ...]: an integral over the quantiles of X, bounded and monotone."""
    from scipy.special import betainc, betaincinv  # noqa: PLC0415

    quantiles, weights = _quadrature()
    x = betaincinv(one[0], one[1], quantiles)
    below = np.ones_like(quantiles)
    for a, b in others:
        below = below * betainc(a, b, x)
    return min(1.0, max(0.0, float(weights @ below)))


@functools.lru_cache(maxsize=1)
def _quadrature() -> tuple[Floats, Floats]:
    """Gauss-Legendre on panels of [0, 1] that grow narrow towards both ends."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    ends = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, PANELS + 1))
    half, middle = 0.5 * np.diff(ends), 0.5 * (ends[1:] + ends[:-1])
    return (middle[:, None] + half[:, None] * nodes).ravel(), (half[:, None] * weights).ravel()
