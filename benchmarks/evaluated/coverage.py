"""How often intervals cover what they are meant to cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.evaluated.operating_row import OperatingRow, exact_row, simulated_row
from unichunk.server.evaluation.statistics.confidence_sequence import difference_sequence, odds_ratio_sequence
from unichunk.server.evaluation.statistics.intervals import difference_of, rate_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SECTION: Final = "coverage"
CONFIDENCE: Final = 0.95
RATES: Final = np.linspace(0.02, 0.98, 97)


def coverage(sessions: int) -> Iterator[OperatingRow]:
    """Rates and differences by enumeration, confidence sequences by simulation."""
    for trials in (20, 50, 100):
        yield from _rates(trials)
    for trials in (20, 50):
        yield from _differences(trials)
    yield from _sequences(sessions)


def _rates(trials: int) -> Iterator[OperatingRow]:
    pmf = _binomials(trials)
    rates = [rate_of(successes, trials, CONFIDENCE) for successes in range(trials + 1)]
    for name, intervals in (
        ("Wilson", [rate.wilson for rate in rates]),
        ("Clopper-Pearson", [rate.clopper_pearson for rate in rates]),
    ):
        low = np.array([interval.low for interval in intervals if interval])
        high = np.array([interval.high for interval in intervals if interval])
        covered = (pmf * ((low <= RATES[:, None]) & (RATES[:, None] <= high))).sum(axis=1)
        case = "true rate .02 to .98, mean over all" if name == "Wilson" else "true rate .02 to .98, worst"
        value = float(covered.mean() if name == "Wilson" else covered.min())
        yield exact_row(SECTION, case, name, trials, CONFIDENCE, value)


def _differences(trials: int) -> Iterator[OperatingRow]:
    intervals = [
        [difference_of((x, trials), (y, trials), CONFIDENCE).interval for y in range(trials + 1)]
        for x in range(trials + 1)
    ]
    low = np.array([[interval.low if interval else -1.0 for interval in row] for row in intervals])
    high = np.array([[interval.high if interval else 1.0 for interval in row] for row in intervals])
    pmf = _binomials(trials)[::4]
    rates = RATES[::4]
    covered = [
        float(pmf[i] @ ((low <= rates[i] - rates[j]) & (rates[i] - rates[j] <= high)) @ pmf[j])
        for i in range(rates.size)
        for j in range(rates.size)
    ]
    case = "difference of true rates .02 to .98, mean over all"
    yield exact_row(SECTION, case, "Newcombe", trials, CONFIDENCE, float(np.mean(covered)))


def _sequences(sessions: int) -> Iterator[OperatingRow]:
    """100 pairs whose success drifts from .8 to .3; the first policy's odds are three times those of the second."""
    pairs, ratio = 100, 3.0
    second = np.linspace(0.8, 0.3, pairs)
    first = ratio * second / (1.0 - second + ratio * second)
    random = np.random.default_rng(5)
    won, lost = (random.random((sessions, pairs)) < rates for rates in (first, second))
    difference = won.astype(np.int64) - lost
    wins, losses = np.cumsum(difference > 0, axis=1), np.cumsum(difference < 0, axis=1)
    case = "success drifts .8 to .3, odds ratio 3, at all times at once"
    low, high = odds_ratio_sequence(wins.astype(np.int64), losses.astype(np.int64), 1.0 - CONFIDENCE)
    covers = _at_all_times((low <= ratio) & (ratio <= high))
    yield simulated_row(SECTION, case, "confidence sequence of the odds ratio", pairs, CONFIDENCE, covers)
    low, high = difference_sequence(difference, 1.0 - CONFIDENCE, pairs)
    mean = np.cumsum(first - second) / np.arange(1, pairs + 1)
    covers = _at_all_times((low <= mean) & (mean <= high))
    yield simulated_row(SECTION, case, "confidence sequence of the difference", pairs, CONFIDENCE, covers)


def _at_all_times(covers: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(covers.all(axis=1))


def _binomials(trials: int) -> NDArray[np.float64]:
    from scipy.stats import binom  # noqa: PLC0415

    return np.asarray(binom.pmf(np.arange(trials + 1), trials, RATES[:, None]), dtype=np.float64)
