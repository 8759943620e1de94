"""Type-I errors of those who look again and again until a test rejects, and of the test that permits it."""

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
SIZES: Final = (5, 10, 20, 35, 50, 75, LARGEST)
"""Trials of each policy when looking ends."""

REMARK: Final = "not meant for this"
PEERS: Final = {20: 0.076, 100: 0.19}
"""Simulated by others for Fisher's test; how often they looked is not said, after every pair comes close."""


def peeking(sessions: int) -> Iterator[OperatingRow]:
    """Pairs of trials in random order, one layout, no difference."""
    for rate in (0.5, 0.8):
        random = np.random.default_rng(round(100 * rate))
        outcomes = random.random((sessions, LARGEST, 2)) < rate
        first_leads = random.random((sessions, LARGEST)) < 0.5
        fisher = _looking(fisher_table, outcomes, first_leads)
        cmh = _looking(cmh_table, outcomes, first_leads)
        differences = outcomes[:, :, 0].astype(np.int64) - outcomes[:, :, 1]
        for per_arm in SIZES:
            for name, looks in (("Fisher", fisher), ("Cochran-Mantel-Haenszel", cmh)):
                until = looks[:, : 2 * per_arm]
                case = f"success {rate:g}, looking after every trial"
                yield simulated_row(SECTION, case, name, per_arm, None, _ever(until), remark=REMARK)
                case = f"success {rate:g}, looking after every pair of trials"
                peers = PEERS.get(per_arm) if (name, rate) == ("Fisher", 0.5) else None
                rejected = _ever(until[:, 1::2])
                yield simulated_row(SECTION, case, name, per_arm, None, rejected, peers=peers, remark=REMARK)
            case = f"success {rate:g}, looking after every trial"
            rejected = largest_evidence(differences[:, :per_arm]) >= -np.log(ALPHA)
            yield simulated_row(SECTION, case, "anytime-valid", per_arm, ALPHA, np.asarray(rejected))


def _ever(looks: Bools) -> Bools:
    return np.asarray(looks.any(axis=1))


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
