"""How often trials were void, and whether that fell on some policies more than on others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from unichunk.server.evaluation.statistics.document import Tested, VoidRate, Voids
from unichunk.server.evaluation.statistics.freeman_halton import freeman_halton
from unichunk.server.evaluation.statistics.intervals import rate_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.results import ScoredTrial, VoidTrial


def void_rates(
    trials: Sequence[ScoredTrial], voids: Sequence[VoidTrial], policies: Sequence[str], confidence: float, alpha: float
) -> Voids:
    """Void rates per policy, with an exact test of their difference.

    Args:
        trials: Scored.
        voids: Void.
        policies: Names as declared.
        confidence: Level of the intervals.
        alpha: Level of the test.
    """
    scored = Counter(trial.policy for trial in trials)
    void = Counter(trial.policy for trial in voids)
    rates = tuple(
        VoidRate(
            policy=name,
            void=rate_of(void[name], void[name] + scored[name], confidence),
            causes=tuple(sorted(Counter(trial.cause for trial in voids if trial.policy == name).items())),
        )
        for name in policies
    )
    return Voids(policies=rates, difference=_difference(rates, alpha))


def _difference(rates: Sequence[VoidRate], alpha: float) -> Tested:
    name = "Fisher-Freeman-Halton"
    events, totals = [rate.void.successes for rate in rates], [rate.void.trials for rate in rates]
    if not sum(events):
        return Tested(name=name, p=None, note="no trial was void")
    if sum(total > 0 for total in totals) < 2:
        return Tested(name=name, p=None, note="fewer than two policies have trials")
    p, exact = freeman_halton(events, totals)
    note = "" if exact else "too many tables to count them all: by random tables with a fixed seed"
    return Tested(name=name, p=p, rejects=p <= alpha, note=note)
