"""Type-I errors of the tests beside the main ones: recognition of policies, void rates, trend over the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.evaluated.operating_row import OperatingRow, simulated_row
from unichunk.server.evaluation.results import ScoredTrial
from unichunk.server.evaluation.statistics.drift import trend_within_cells
from unichunk.server.evaluation.statistics.freeman_halton import freeman_halton
from unichunk.server.evaluation.statistics.matching import hits_at_least

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION: Final = "no effect"
ALPHA: Final = 0.05
POLICIES: Final = 4
PER_ARM: Final = 20


def other_tests(sessions: int) -> Iterator[OperatingRow]:
    """Four policies of 20 trials each."""
    random = np.random.default_rng(4)
    recognized = np.array([_recognized(random) for _ in range(sessions)])
    case = "4 policies, operators guess one of them by habit, half of the time"
    yield simulated_row(SECTION, case, "recognition (one-sided)", PER_ARM, ALPHA, recognized <= ALPHA)
    voids = random.binomial(PER_ARM, 0.1, size=(sessions, POLICIES)).tolist()
    p = np.array([freeman_halton(row, [PER_ARM] * POLICIES)[0] for row in voids])
    case = "4 policies, one trial in ten void"
    yield simulated_row(SECTION, case, "void rates (Fisher-Freeman-Halton)", PER_ARM, ALPHA, p <= ALPHA)
    trend = np.array([_trend(random) for _ in range(sessions)])
    case = "4 policies with success .2 to .8, no drift"
    yield simulated_row(SECTION, case, "trend over the session (Mantel)", PER_ARM, ALPHA, trend <= ALPHA)


def _recognized(random: np.random.Generator) -> float:
    policies = np.repeat(np.arange(POLICIES), PER_ARM)
    guesses = random.choice(POLICIES, size=policies.size, p=[0.1, 0.2, 0.3, 0.4])
    asked = random.random(policies.size) < 0.5
    policies, guesses = policies[asked], guesses[asked]
    made, named = (np.bincount(values, minlength=POLICIES).tolist() for values in (policies, guesses))
    return hits_at_least(int((policies == guesses).sum()), made, named)


def _trend(random: np.random.Generator) -> float:
    policies = random.permutation(np.repeat(np.arange(POLICIES), PER_ARM))
    success = random.random(policies.size) < np.linspace(0.2, 0.8, POLICIES)[policies]
    trials = [
        ScoredTrial("", order, str(policy), "", "", 0, bool(came_out), (), "", "", 0, 0.0, "")
        for order, (policy, came_out) in enumerate(zip(policies, success, strict=True))
    ]
    p = trend_within_cells(trials, ALPHA)[0].p
    return 1.0 if p is None else p
