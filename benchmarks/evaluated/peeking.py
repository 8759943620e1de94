"""Type-I errors of those who look after every trial and stop at the first success, and of the anytime-valid test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.evaluated.operating_row import OperatingRow, simulated_row
from unichunk.benchmarks.evaluated.simulated_sessions import largest_evidence
from unichunk.server.evaluation.statistics.all_tables import cmh_table, fisher_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.benchmarks.evaluated.simulated_sessions import Bools, Floats

SECTION: Final = "peeking"
ALPHA: Final = 0.05
LARGEST: Final = 100
PEERS: Final = {20: 0.076, 100: 0.19}


def peeking(sessions: int) -> Iterator[OperatingRow]:
    """Pairs of trials in random order, one layout, no difference."""
    for rate in (0.5, 0.8):
        random = np.random.default_rng(round(100 * rate))
        outcomes = random.random((sessions, LARGEST, 2)) < rate
        first_leads = random.random((sessions, LARGEST)) < 0.5
        fisher = _looking(fisher_table, outcomes, first_leads)
        cmh = _looking(cmh_table, outcomes, first_leads)
        differences = outcomes[:, :, 0].astype(np.int64) - outcomes[:, :, 1]
        for per_arm in (20, 50, 100):
            case = f"success {rate:g}, looking after every trial"
            at_all = np.asarray(fisher[:, : 2 * per_arm].any(axis=1))
            peers = PEERS.get(per_arm) if rate == 0.5 else None
            yield simulated_row(
                SECTION, case, "Fisher", per_arm, None, at_all, peers=peers, remark="not meant for this"
            )
            at_all = np.asarray(cmh[:, : 2 * per_arm].any(axis=1))
            remark = "not meant for this"
            yield simulated_row(SECTION, case, "Cochran-Mantel-Haenszel", per_arm, None, at_all, remark=remark)
            rejected = largest_evidence(differences[:, :per_arm]) >= -np.log(ALPHA)
            yield simulated_row(SECTION, case, "anytime-valid", per_arm, ALPHA, rejected)


def _looking(table: Callable[[int, int], Floats], outcomes: Bools, first_leads: Bools) -> Bools:
    """Whether the test rejects after each trial, shape (S, 2 N)."""
    totals = np.cumsum(outcomes, axis=1)
    looks = np.zeros((len(outcomes), 2 * LARGEST), dtype=np.bool_)
    for pair in range(LARGEST):
        x, y = totals[:, pair, 0], totals[:, pair, 1]
        looks[:, 2 * pair + 1] = table(pair + 1, pair + 1)[x, y] <= ALPHA
        if pair:
            # Only the leader of this pair has been tried: the table of n against n - 1 trials.
            before = totals[:, pair - 1]
            lead = np.where(first_leads[:, pair], x, y)
            behind = np.where(first_leads[:, pair], before[:, 1], before[:, 0])
            looks[:, 2 * pair] = table(pair + 1, pair)[lead, behind] <= ALPHA
    return looks
