"""Fisher's exact test for a table of 2 x k (Freeman & Halton 1951)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_STATES: Final = 20_000
DRAWS: Final = 99_999
_SEED: Final = 19510101
_SAME: Final = 1e-7
"""Log-probabilities that differ by less are the same number but for rounding."""


def freeman_halton(events: Sequence[int], totals: Sequence[int]) -> tuple[float, bool]:
    """Whether some of k groups have more events than others.

    Given all margins, the p-value is the probability of all tables that are no more likely than the observed one. The
    log-probability of a table is a sum over groups, so the distribution is built group by group, joining tables of the
    same number of events and the same log-probability so far.

    Args:
        events: In each group.
        totals: Trials in each group.

    Returns:
        The p-value, and whether it is exact; if there were too many tables it is by random ones (fixed seed), and
        valid all the same (Phipson & Smyth 2010).
    """
    weights = [_log_choose(total) for total in totals]
    observed = sum(float(row[count]) for row, count in zip(weights, events, strict=True))
    wanted = sum(events)
    states: dict[tuple[int, int], tuple[float, float]] = {(0, 0): (0.0, 0.0)}
    for row in weights:
        grown: dict[tuple[int, int], tuple[float, float]] = {}
        for (used, _), (log_weight, log_count) in states.items():
            for count in range(min(len(row) - 1, wanted - used) + 1):
                value = log_weight + float(row[count])
                key = used + count, round(value / _SAME)
                before = grown.get(key)
                grown[key] = value, log_count if before is None else _log_add(before[1], log_count)
        states = grown
        if len(states) > MOST_STATES:
            return _by_random_tables(events, totals, weights, observed), False
    # Weight of a table times number of such tables, relative to all ways to choose the events.
    total = float(_log_choose(sum(totals))[wanted])
    p = sum(
        math.exp(value + log_count - total)
        for (used, _), (value, log_count) in states.items()
        if used == wanted and value <= observed + _SAME
    )
    return min(1.0, p), True


def _by_random_tables(
    events: Sequence[int], totals: Sequence[int], weights: Sequence[NDArray[np.float64]], observed: float
) -> float:
    random = np.random.default_rng(_SEED)
    tables = random.multivariate_hypergeometric(np.asarray(totals), sum(events), size=DRAWS, method="marginals")
    values = sum(row[tables[:, column]] for column, row in enumerate(weights))
    return float((1 + np.count_nonzero(values <= observed + _SAME)) / (1 + DRAWS))


def _log_choose(total: int) -> NDArray[np.float64]:
    from scipy.special import gammaln  # noqa: PLC0415

    counts = np.arange(total + 1)
    return np.asarray(gammaln(total + 1) - gammaln(counts + 1) - gammaln(total - counts + 1), dtype=np.float64)


def _log_add(one: float, other: float) -> float:
    return max(one, other) + math.log1p(math.exp(-abs(one - other)))
