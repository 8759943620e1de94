"""The common odds ratio of two policies over layouts, and whether layouts agree about it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics.document import Interval, OddsRatio, Tested

if TYPE_CHECKING:
    from unichunk.server.evaluation.statistics.counts import Counts

Floats = NDArray[np.float64]

HOMOGENEITY: Final = "Breslow-Day, Tarone's correction"


def common_odds_ratio(counts: Counts, confidence: float, alpha: float) -> OddsRatio:
    """Mantel and Haenszel's estimate with the interval of Robins, Breslow and Greenland.

    Args:
        counts: Of two policies.
        confidence: Level of the interval.
        alpha: Level of the test of homogeneity.
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
    ratio = float(favours_first / favours_second)
    return OddsRatio(
        estimate=ratio,
        interval=Interval(low=float(low), high=float(high)) if math.isfinite(high) else None,
        homogeneity=_homogeneity(tables, ratio, alpha),
    )


def _tables(counts: Counts) -> Floats:
    """Two by two tables, shape (2, 2, L), of the layouts where both were tried."""
    both = (counts.trials > 0).all(axis=0)
    successes, trials = counts.successes[:, both], counts.trials[:, both]
    return np.stack([successes, trials - successes], axis=1).astype(np.float64)


def breslow_day(tables: Floats, ratio: float) -> float:
    """Statistic of Breslow and Day (1980) with Tarone's correction (1985): do all layouts have this odds ratio?

    Computed here since statsmodels divides zero by zero for a ratio of 1.

    Args:
        tables: Shape (2, 2, L), policy x outcome x layout, no margin of any layout 0.
        ratio: Mantel and Haenszel's, positive and finite.

    Returns:
        Chi-square with L - 1 degrees of freedom under the null.
    """
    successes, first, total = tables[:, 0].sum(axis=0), tables[0].sum(axis=0), tables.sum(axis=(0, 1))
    # The first policy's successes e that the ratio makes expect: (1 - r) e^2 + b e - r successes first = 0.
    b = ratio * (first + successes) + total - first - successes
    product = ratio * successes * first
    root = np.sqrt(b**2 + 4.0 * (1.0 - ratio) * product)
    # Of the two forms of the same root the one that does not subtract what is nearly equal.
    stable = b >= 0
    expected = np.where(
        stable,
        2.0 * product / np.where(stable, b + root, 1.0),
        (root - b) / np.where(stable, 1.0, 2.0 * (1.0 - ratio)),
    )
    rest = total - first - successes + expected
    variance = 1.0 / (1.0 / expected + 1.0 / (first - expected) + 1.0 / (successes - expected) + 1.0 / rest)
    excess = tables[0, 0] - expected
    return float(np.sum(excess**2 / variance) - excess.sum() ** 2 / variance.sum())


def _homogeneity(tables: Floats, ratio: float, alpha: float) -> Tested:
    # A layout where everything came out the same fits every odds ratio.
    telling = tables[:, :, (tables.sum(axis=0) > 0).all(axis=0)]
    if telling.shape[2] < 2:
        return Tested(name=HOMOGENEITY, p=None, note="needs two layouts where trials came out differently")
    from scipy.special import chdtrc  # noqa: PLC0415

    degrees = telling.shape[2] - 1
    statistic = max(0.0, breslow_day(telling, ratio))
    p = float(chdtrc(float(degrees), statistic))
    return Tested(name=HOMOGENEITY, p=p, rejects=p <= alpha, statistic=statistic, degrees=degrees)


def _unknown(note: str) -> OddsRatio:
    return OddsRatio(estimate=None, interval=None, homogeneity=Tested(name=HOMOGENEITY, p=None, note=note), note=note)
