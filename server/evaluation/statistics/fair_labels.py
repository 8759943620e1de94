"""An e-process of two policies for the paper's draw, where no blocks match their trials.

On a layout where both still lack trials, the plan gives a trial that one of the two gets to either with probability
1/2, whatever was drawn before: a fair label. If policies make no difference, success says nothing about the label. So
among trials with a fair label that succeeded the label is a fair coin, and so it is among those that failed:

    E = M(w1, l1) M(w0, l0)          M(w, l) = 2^(w + l) w! l! / (w + l + 1)!

with w1, l1 successes of the first and second policy, w0, l0 failures. Each factor is the test martingale of
`matched_pairs`; the product is one, since every trial bets in one of them. Trials on a layout where one of the two is
complete have a forced label and are not bet on; nor are redone ones, whose label was settled before.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.results import ScoredTrial

NULL: Final = (
    "which of the two policies a trial got tells nothing about how trials came out (or became void); success may "
    "differ between layouts, drift, and depend on what happened before"
)


@dataclass(frozen=True)
class FairTrial:
    """One trial whose label was fair.

    Attributes:
        settled: Order of this trial, or of the last one bet on before where that came later.
        is_first: Whether it was the first policy's.
        success: Whether it succeeded.
    """

    settled: int
    is_first: bool
    success: bool


def fair_trials(trials: Sequence[ScoredTrial], first: str, second: str, per_cell: int) -> list[FairTrial]:
    """Trials of two policies with a fair label, in the order in which labels were drawn.

    Args:
        trials: Of the campaign; without numbers of slots, their order in time stands for that of the draw.
        first: Name of a policy.
        second: Name of another one.
        per_cell: K: a policy is complete on a layout after so many.
    """
    known = all(trial.slot >= 0 for trial in trials)
    drawn = sorted(
        (trial for trial in trials if trial.policy in {first, second}),
        key=lambda trial: trial.slot if known else trial.order,
    )
    scored = sorted(trial.slot for trial in trials)
    done: dict[tuple[str, str], int] = {}
    fair = []
    settled = 0
    for trial in drawn:
        # Before the plan is complete: whose slots without a score are is not known here, so each may be of either.
        waiting = trial.slot - bisect.bisect_left(scored, trial.slot) if known else 0
        open_for_both = max(done.get((name, trial.layout), 0) for name in (first, second)) + waiting < per_cell
        done[trial.policy, trial.layout] = done.get((trial.policy, trial.layout), 0) + 1
        if open_for_both and trial.attempt == 0:
            settled = max(settled, trial.order)
            fair.append(FairTrial(settled, trial.policy == first, trial.success))
    return fair
