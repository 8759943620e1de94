"""An e-process of two policies from matched pairs: trials of both on one layout in one replicate.

Where the plan deals every replicate's cells out in random order, one fair coin decides which of the two policies came
first on a layout. If policies make no difference, then of a pair that came out differently each was the better one with
probability 1/2, whatever the layout, whatever the trend over the session, and whatever happened before. So

    E = 2^n  w! l! / (n + 1)!          n = w + l pairs that differ, the first policy was better in w of them

is a test martingale: the capital of somebody who bets on the next coin with Laplace's rule (Ville 1939; the likelihood
ratio against a uniform prior of the coin's bias). The chance that it ever reaches 1 / alpha is at most alpha (Ville's
inequality), so one may look after every trial and stop at any time. It is McNemar's test made sequential, and a case of
the paired tests by betting of Turner, Ly & Grünwald (2022), with blocks of one trial each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from unichunk.server.evaluation.results import ScoredTrial

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NULL: Final = (
    "the two policies are interchangeable: had they changed places in some replicates, trials would have come out (and "
    "become void) by the same law; success may differ between layouts, drift, and depend on what happened before"
)


@dataclass(frozen=True)
class Pair:
    """One trial of each policy.

    Attributes:
        settled: Order of the later of the two.
        first: Whether the first policy succeeded.
        second: Whether the second one did.
    """

    settled: int
    first: bool
    second: bool


def log_e_value(wins: Floats | Ints, losses: Floats | Ints) -> Floats:
    """Natural logarithm of the e-value.

    Args:
        wins: Pairs where only the first policy succeeded, any shape.
        losses: Pairs where only the second one did, the same shape.
    """
    from scipy.special import gammaln  # noqa: PLC0415

    n = np.asarray(wins) + np.asarray(losses)
    e = n * np.log(2.0) + gammaln(np.asarray(wins) + 1.0) + gammaln(np.asarray(losses) + 1.0) - gammaln(n + 2.0)
    return np.asarray(e, dtype=np.float64)


def match(trials: Sequence[ScoredTrial], first: str, second: str, cells: int) -> list[Pair]:
    """Pairs of a replicate and layout, in the order in which they were complete.

    Args:
        trials: Of the campaign.
        first: Name of a policy.
        second: Name of another one.
        cells: Slots of a replicate: policies x layouts. Trials whose slot is not known are matched by rank.
    """
    waiting: dict[tuple[str, int], ScoredTrial] = {}
    known = all(trial.slot >= 0 for trial in trials)
    pairs = []
    for trial, replicate in with_replicates((t for t in trials if t.policy in {first, second}), cells, known=known):
        other = waiting.pop((trial.layout, replicate), None)
        if other is None:
            waiting[trial.layout, replicate] = trial
            continue
        if other.policy == trial.policy:
            # Only in a record that contradicts its plan: such trials match nobody.
            continue
        of_first, of_second = (trial, other) if trial.policy == first else (other, trial)
        pairs.append(Pair(max(trial.order, other.order), of_first.success, of_second.success))
    return pairs


def with_replicates(trials: Iterable[ScoredTrial], cells: int, *, known: bool) -> Iterator[tuple[ScoredTrial, int]]:
    """Trials in the order in which they were scored, each with its replicate.

    Args:
        trials: Of one or several policies and layouts.
        cells: Slots of a replicate.
        known: Whether slots are; otherwise a trial's rank in its cell stands for its replicate.
    """
    ranks: dict[tuple[str, str], int] = {}
    for trial in sorted(trials, key=lambda trial: trial.order):
        rank = ranks.get((trial.policy, trial.layout), 0)
        ranks[trial.policy, trial.layout] = rank + 1
        yield trial, trial.slot // cells if known else rank
