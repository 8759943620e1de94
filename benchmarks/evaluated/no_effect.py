"""Type-I errors where policies make no difference: one layout, and layouts of different difficulty."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.evaluated.operating_row import OperatingRow, exact_row, simulated_row
from unichunk.benchmarks.evaluated.simulated_sessions import largest_evidence
from unichunk.server.evaluation.statistics.all_tables import cmh_table, fisher_table, rejection_probability
from unichunk.server.evaluation.statistics.barnard import barnard_table
from unichunk.server.evaluation.statistics.counts import Counts
from unichunk.server.evaluation.statistics.holm_many import holm_rejects
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh_p, exact_stratified
from unichunk.server.evaluation.statistics.odds_ratio import breslow_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SECTION: Final = "no effect"
ALPHA: Final = 0.05
DIFFICULTY: Final = (0.1, 0.3, 0.5, 0.7, 0.9)
CASE: Final = "5 layouts, success .1 to .9"
POLICIES: Final = 4
EXACT: Final = ("Barnard", "Fisher")


def one_layout() -> Iterator[OperatingRow]:
    """Exact: the largest type-I error over all common success rates."""
    rates = np.linspace(0.005, 0.5, 100)
    for trials in (20, 50, 100):
        tables = {
            "Barnard": barnard_table(trials, trials),
            "Fisher": fisher_table(trials, trials),
            "Cochran-Mantel-Haenszel": cmh_table(trials, trials),
        }
        for name, table in tables.items():
            worst = max(rejection_probability(table, ALPHA, rate, rate) for rate in rates)
            remark = "" if name in EXACT else "for large samples: holds its level on average, not for every rate"
            case = "one layout, worst common success rate"
            yield exact_row(SECTION, case, name, trials, ALPHA, worst, remark=remark)


def several_layouts(sessions: int) -> Iterator[OperatingRow]:
    """By simulation: pooled and stratified tests of a pair, of all policies, and of all pairs with Holm."""
    for per_cell in (4, 10, 20):
        random = np.random.default_rng(per_cell)
        rates = np.asarray(DIFFICULTY)[:, None]
        outcomes = random.random((sessions, POLICIES, len(DIFFICULTY), per_cell)) < rates
        yield from _of_outcomes(outcomes, per_cell)


def _of_outcomes(outcomes: NDArray[np.bool_], per_cell: int) -> Iterator[OperatingRow]:
    per_arm = per_cell * len(DIFFICULTY)
    successes = outcomes.sum(axis=-1)
    trials = np.full(successes.shape[1:], per_cell)
    pairs = list(itertools.combinations(range(POLICIES), 2))
    x, y = successes[:, 0].sum(axis=-1), successes[:, 1].sum(axis=-1)
    by_pair = np.stack([cmh_p(successes[:, pair], trials[list(pair)]) for pair in map(list, pairs)], axis=-1)
    anytime = np.exp(-np.stack([_evidence(outcomes, *pair) for pair in pairs], axis=-1))
    found = {
        "Barnard, pooled": barnard_table(per_arm, per_arm)[x, y] <= ALPHA,
        "Fisher, pooled": fisher_table(per_arm, per_arm)[x, y] <= ALPHA,
        "Cochran-Mantel-Haenszel": by_pair[:, 0] <= ALPHA,
        "exact stratified": _exact(successes[:, :2], trials[:2]) <= ALPHA,
        "Cochran-Mantel-Haenszel, 4 policies": cmh_p(successes, trials) <= ALPHA,
        "Cochran-Mantel-Haenszel, any of 6 pairs (Holm)": holm_rejects(by_pair, ALPHA).any(axis=1),
        "anytime-valid, at any time": anytime[:, 0] <= ALPHA,
        "anytime-valid, any of 6 pairs at any time (Holm)": holm_rejects(anytime, ALPHA).any(axis=1),
        "Breslow-Day-Tarone": _homogeneity(successes[:, :2], per_cell) <= ALPHA,
    }
    for name, rejected in found.items():
        yield simulated_row(SECTION, CASE, name, per_arm, ALPHA, rejected)


def _evidence(outcomes: NDArray[np.bool_], first: int, second: int) -> NDArray[np.float64]:
    # Replicate after replicate: shape (S, K, L), then one line of pairs.
    difference = np.swapaxes(outcomes[:, first].astype(np.int64) - outcomes[:, second], 1, 2)
    return largest_evidence(difference.reshape(len(outcomes), -1))


def _exact(successes: NDArray[np.int64], trials: NDArray[np.int64]) -> NDArray[np.float64]:
    layouts = tuple(map(str, range(trials.shape[1])))
    p = [exact_stratified(Counts(("a", "b"), layouts, table, trials)).p for table in successes]
    return np.array([1.0 if value is None else value for value in p])


def _homogeneity(successes: NDArray[np.int64], per_cell: int) -> NDArray[np.float64]:
    from scipy.special import chdtrc  # noqa: PLC0415

    tables = np.stack([successes, per_cell - successes], axis=2).astype(np.float64)
    return np.array([_homogeneity_p(table, chdtrc) for table in tables])


def _homogeneity_p(table: NDArray[np.float64], chdtrc: np.ufunc) -> float:
    telling = table[:, :, (table.sum(axis=0) > 0).all(axis=0)]
    total = telling.sum(axis=(0, 1))
    for_first = float(np.sum(telling[0, 0] * telling[1, 1] / total))
    for_second = float(np.sum(telling[0, 1] * telling[1, 0] / total))
    if telling.shape[2] < 2 or for_first == 0 or for_second == 0:
        return 1.0
    return float(chdtrc(telling.shape[2] - 1.0, max(0.0, breslow_day(telling, for_first / for_second))))
