"""The common odds ratio of two policies over layouts, and whether layouts agree about it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.server.evaluation.statistics.document import Interval, OddsRatio, Tested

if TYPE_CHECKING:
    from unichunk.server.evaluation.statistics.counts import Counts

HOMOGENEITY: Final = "Breslow-Day, Tarone's correction"


def common_odds_ratio(counts: Counts, confidence: float) -> OddsRatio:
    """Mantel and Haenszel's estimate with the interval of Robins, Breslow and Greenland.

    Args:
        counts: Of two policies.
        confidence: Level of the interval.
    """
    tables = _tables(counts)
    favours_first = np.sum(tables[0, 0] * tables[1, 1] / tables.sum(axis=(0, 1)))
    favours_second = np.sum(tables[0, 1] * tables[1, 0] / tables.sum(axis=(0, 1)))
    if favours_first == 0 and favours_second == 0:
        return _unknown("no layout where trials of both policies came out differently")
    if favours_first == 0 or favours_second == 0:
        better = counts.policies[0] if favours_second == 0 else counts.policies[1]
        return _unknown(f"zero or infinite: wherever the two differ in a layout, {better} was the better one")
    # Only here: it imports pandas.
    from statsmodels.stats.contingency_tables import StratifiedTable  # noqa: PLC0415

    stratified = StratifiedTable(tables)
    low, high = stratified.oddsratio_pooled_confint(alpha=1.0 - confidence)
    return OddsRatio(
        estimate=float(stratified.oddsratio_pooled),
        interval=Interval(low=float(low), high=float(high)) if math.isfinite(high) else None,
        homogeneity=_homogeneity(tables),
    )


def _tables(counts: Counts) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Two by two tables, shape (2, 2, L), of the layouts where both were tried."""
    both = (counts.trials > 0).all(axis=0)
    successes, trials = counts.successes[:, both], counts.trials[:, both]
    return np.stack([successes, trials - successes], axis=1).astype(np.float64)


def _homogeneity(tables: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tested:
    from statsmodels.stats.contingency_tables import StratifiedTable  # noqa: PLC0415

    # A layout where everything came out the same fits every odds ratio, and would divide zero by zero.
    columns = tables.sum(axis=0)
    telling = tables[:, :, (columns > 0).all(axis=0)]
    if telling.shape[2] < 2:
        return Tested(name=HOMOGENEITY, p=None, note="needs two layouts where trials came out differently")
    result = StratifiedTable(telling).test_equal_odds(adjust=True)
    p = float(result.pvalue)
    if not math.isfinite(p):
        return Tested(name=HOMOGENEITY, p=None, note="cannot be computed: a layout has no variance")
    return Tested(name=HOMOGENEITY, p=p, statistic=float(result.statistic), degrees=telling.shape[2] - 1)


def _unknown(note: str) -> OddsRatio:
    return OddsRatio(estimate=None, interval=None, homogeneity=Tested(name=HOMOGENEITY, p=None, note=note), note=note)
