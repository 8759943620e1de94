"""Trials as a table of counts: policies x layouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from unichunk.server.evaluation.results import ScoredTrial

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """How often each policy succeeded on each layout.

    Attributes:
        policies: Names, P of them.
        layouts: Names, L of them: the strata.
        successes: Shape (P, L).
        trials: Shape (P, L).
    """

    policies: tuple[str, ...]
    layouts: tuple[str, ...]
    successes: Ints
    trials: Ints

    def of(self, *policies: str) -> Counts:
        """Those of some policies, in the order that is asked for."""
        rows = [self.policies.index(name) for name in policies]
        return Counts(policies, self.layouts, self.successes[rows], self.trials[rows])

    def pooled(self, policy: str) -> tuple[int, int]:
        """Successes and trials of a policy on all layouts."""
        row = self.policies.index(policy)
        return int(self.successes[row].sum()), int(self.trials[row].sum())


def count(trials: Iterable[ScoredTrial], policies: Sequence[str], layouts: Sequence[str]) -> Counts:
    """Count trials; those of other policies or layouts are not counted."""
    rows = {name: row for row, name in enumerate(policies)}
    columns = {name: column for column, name in enumerate(layouts)}
    successes = np.zeros((len(policies), len(layouts)), dtype=np.int64)
    tried = np.zeros_like(successes)
    for trial in trials:
        if trial.policy in rows and trial.layout in columns:
            cell = rows[trial.policy], columns[trial.layout]
            tried[cell] += 1
            successes[cell] += trial.success
    return Counts(tuple(policies), tuple(layouts), successes, tried)
