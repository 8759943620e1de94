"""Power at 20, 50 and 100 trials per policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from unichunk.benchmarks.evaluated.operating_row import OperatingRow, exact_row, simulated_row
from unichunk.benchmarks.evaluated.simulated_sessions import largest_evidence
from unichunk.server.evaluation.statistics.all_tables import cmh_table, fisher_table, rejection_probability
from unichunk.server.evaluation.statistics.barnard import barnard_table
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh_p
from unichunk.server.evaluation.statistics.power import rates_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SECTION: Final = "power"
ALPHA: Final = 0.05
PAIRS: Final = ((0.5, 0.8), (0.5, 0.65), (0.2, 0.5), (0.8, 0.95))
PEERS: Final = {("Barnard", 20, 0.5, 0.8): 0.49}
LAYOUTS: Final = 5
SPREAD: Final = 4.0


def power(sessions: int) -> Iterator[OperatingRow]:
    """One layout by enumeration; five layouts of different difficulty, and the anytime-valid test, by simulation."""
    for per_arm in (20, 50, 100):
        tables = {
            "Barnard": barnard_table(per_arm, per_arm),
            "Fisher": fisher_table(per_arm, per_arm),
            "Cochran-Mantel-Haenszel": cmh_table(per_arm, per_arm),
        }
        for pair in PAIRS:
            case = f"{pair[0]:g} against {pair[1]:g}, one layout"
            for name, table in tables.items():
                chance = rejection_probability(table, ALPHA, *pair)
                row = exact_row(SECTION, case, name, per_arm, None, chance)
                yield _with_peers(row, PEERS.get((name, per_arm, *pair)))
            outcomes = np.random.default_rng(per_arm).random((sessions, per_arm, 2)) < np.asarray(pair)
            yield simulated_row(SECTION, case, "anytime-valid, at any time", per_arm, None, _anytime(outcomes))
        for pair in PAIRS:
            yield from _on_layouts(pair, per_arm, sessions)


def _on_layouts(pair: tuple[float, float], per_arm: int, sessions: int) -> Iterator[OperatingRow]:
    per_cell = per_arm // LAYOUTS
    rates = np.asarray(rates_of(pair, LAYOUTS, SPREAD)).T
    outcomes = np.random.default_rng(per_arm).random((sessions, per_cell, LAYOUTS, 2)) < rates
    successes = np.swapaxes(outcomes.sum(axis=1), 1, 2)
    x, y = successes.sum(axis=-1).T
    case = f"{pair[0]:g} against {pair[1]:g} on the middle one of 5 layouts, log-odds spread over {SPREAD:g}"
    pooled = barnard_table(per_arm, per_arm)[x, y] <= ALPHA
    stratified = cmh_p(successes, np.full((2, LAYOUTS), per_cell)) <= ALPHA
    yield simulated_row(SECTION, case, "Barnard, pooled", per_arm, None, pooled)
    yield simulated_row(SECTION, case, "Cochran-Mantel-Haenszel", per_arm, None, stratified)
    anytime = _anytime(outcomes.reshape(sessions, -1, 2))
    yield simulated_row(SECTION, case, "anytime-valid, at any time", per_arm, None, anytime)


def _anytime(outcomes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    differences = outcomes[:, :, 0].astype(np.int64) - outcomes[:, :, 1]
    return np.asarray(largest_evidence(differences) >= -np.log(ALPHA))


def _with_peers(row: OperatingRow, peers: float | None) -> OperatingRow:
    return row if peers is None else msgspec.structs.replace(row, peers=peers)
