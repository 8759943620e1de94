"""The primary statistic judged by redrawing the plan's own order: valid under drift, whichever randomization was used.

The statistic of Cochran, Mantel and Haenszel has its usual distribution where all orders of a layout's policies are
equally likely. In replicate blocks policies are balanced over time, and under drift the test is a little too careful;
in the paper's draw the last trials are those that chance left over, neighbours in time, and under drift the test is
not careful enough. Here policies are dealt out again, the way the plan did it, to trials whose outcomes stay as they
are (Fisher 1935; Edgington 1980). Under the null hypothesis that policies are interchangeable the p-value is valid for
every number of redraws, since the observed order counts as one of them (Phipson & Smyth 2010).

One thing is left out: for a pair among three or more policies in the paper's draw, the places of the others also depend
on when one of the pair was complete. Under a strong drift a test of the difference of such a pair still rejected less
often than its level.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.statistics.document import Tested
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh_statistic
from unichunk.server.evaluation.statistics.matched_pairs import with_replicates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.results import ScoredTrial

Ints = NDArray[np.int64]

NAME: Final = "randomization test"
REDRAWS: Final = 1999
"""At least so many."""
LARGEST: Final = 20_000
"""Trials above which it is not computed."""

_SEED: Final = 19350101
_NUMBERS: Final = 4_000_000
"""Random numbers at once, to bound memory."""


def randomization_test(
    campaign: Campaign, trials: Sequence[ScoredTrial], policies: Sequence[str], members: int = 1
) -> Tested:
    """Test that some policies are interchangeable.

    Args:
        campaign: Says how trials were put in order.
        trials: All that were scored.
        policies: Names of those that are compared; trials of others stay where they are.
        members: Tests in its family: so many more redraws that each of them may be rejected after Holm's correction.
    """
    compared = [trial for trial in trials if trial.policy in policies]
    if {trial.policy for trial in compared} != set(policies):
        return Tested(name=NAME, p=None, note="no trial of one of the policies")
    if len(compared) > LARGEST:
        return Tested(name=NAME, p=None, note=f"not computed for more than {LARGEST} trials")
    layouts = [_Layout(campaign, compared, layout.name, policies) for layout in campaign.layouts]
    observed = float(cmh_statistic(*_tables([layout.observed() for layout in layouts]))[0])
    if np.isnan(observed):
        return Tested(name=NAME, p=None, note="nothing to test: trials came out the same, or policies share no layout")
    redraws = max(REDRAWS, math.ceil(2.0 * members / campaign.analysis.alpha))
    random = np.random.default_rng(_SEED)
    statistics = cmh_statistic(*_tables([layout.redrawn(redraws, random) for layout in layouts]))
    as_far = int(np.count_nonzero(np.nan_to_num(statistics) >= observed * (1.0 - 1e-9)))
    return Tested(
        name=NAME, p=(1 + as_far) / (1 + redraws), statistic=observed, note="" if _known(trials) else "slots not known"
    )


class _Layout:
    """The trials of one layout in the order in which policies were dealt out to them."""

    def __init__(self, campaign: Campaign, trials: Sequence[ScoredTrial], layout: str, policies: Sequence[str]) -> None:
        cells = len(campaign.policies) * len(campaign.layouts)
        here = [trial for trial in trials if trial.layout == layout]
        dealt = sorted(with_replicates(here, cells, known=_known(trials)), key=lambda item: (item[1], item[0].slot))
        if campaign.randomization is Randomization.INDEPENDENT_DRAW and _known(trials):
            dealt.sort(key=lambda item: item[0].slot)
        elif campaign.randomization is Randomization.INDEPENDENT_DRAW:
            dealt.sort(key=lambda item: item[0].order)
        self._blocks = campaign.randomization is not Randomization.INDEPENDENT_DRAW
        self._per_cell = campaign.trials_per_cell
        self._count = len(policies)
        self._labels = np.array([policies.index(trial.policy) for trial, _ in dealt], dtype=np.int64)
        self._success = np.array([trial.success for trial, _ in dealt], dtype=np.bool_)
        self._replicate = np.array([replicate for _, replicate in dealt], dtype=np.float64)

    def observed(self) -> tuple[Ints, Ints]:
        """Successes and trials of each policy, shape (1, P) each."""
        return self._counted(self._labels[None])

    def redrawn(self, redraws: int, random: np.random.Generator) -> tuple[Ints, Ints]:
        """The same for policies dealt out anew, shape (redraws, P) each."""
        size = max(1, _NUMBERS // max(1, self._labels.size))
        parts = [self._counted(self._deal(min(size, redraws - done), random)) for done in range(0, redraws, size)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _deal(self, redraws: int, random: np.random.Generator) -> Ints:
        if self._blocks:
            # Sorting random numbers that begin with their replicate's shuffles within replicates.
            keys = self._replicate + random.random((redraws, self._labels.size))
            return self._labels[np.argsort(keys, axis=1)]
        return self._draw(redraws, random)

    def _draw(self, redraws: int, random: np.random.Generator) -> Ints:
        """Each trial gets one of the policies that still lack some on this layout."""
        left = np.full((redraws, self._count), self._per_cell)
        labels = np.empty((redraws, self._labels.size), dtype=np.int64)
        rows = np.arange(redraws)
        for place in range(self._labels.size):
            still = left > 0
            which = np.floor(random.random(redraws) * still.sum(axis=1))
            labels[:, place] = np.argmax(np.cumsum(still, axis=1) > which[:, None], axis=1)
            left[rows, labels[:, place]] -= 1
        return labels

    def _counted(self, labels: Ints) -> tuple[Ints, Ints]:
        of_successes = labels[:, self._success]
        policies = range(self._count)
        successes = np.stack([np.count_nonzero(of_successes == policy, axis=1) for policy in policies], axis=-1)
        return successes, np.stack([np.count_nonzero(labels == policy, axis=1) for policy in policies], axis=-1)


def _tables(layouts: Sequence[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Successes and trials, shape (redraws, P, L) each."""
    return np.stack([layout[0] for layout in layouts], axis=-1), np.stack([layout[1] for layout in layouts], axis=-1)


def _known(trials: Sequence[ScoredTrial]) -> bool:
    return all(trial.slot >= 0 for trial in trials)
