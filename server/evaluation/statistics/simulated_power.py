"""Many campaigns with assumed success rates: what the primary tests and the sequential one would find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics.mantel_haenszel import cmh_p
from unichunk.server.evaluation.statistics.matched_pairs import log_e_value

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEED: Final = 7
_MOST_TRIALS: Final = 200_000_000
"""Simulated in all; larger campaigns are simulated less often, which does where every power is near 1."""
_FEWEST: Final = 200
_TRIALS_AT_ONCE: Final = 4_000_000
_MOST_LOOKS: Final = 500
"""Times that the sequential test is looked at."""


@dataclass(frozen=True)
class Sessions:
    """Simulated campaigns.

    Attributes:
        successes: Shape (S, P, L).
        largest: Largest log e-value of each pair, shape (S, pairs).
        stops: After how many trials of each pair half of the campaigns are decided; None: never.
    """

    successes: Ints
    largest: Floats
    stops: list[int | None]


def simulate(
    table: Floats, per_cell: int, declared: Sequence[tuple[int, int]], alpha: float, simulations: int
) -> Sessions:
    """Simulate campaigns in replicates.

    Args:
        table: Success rates, shape (P, L).
        per_cell: K.
        declared: Pairs by index.
        alpha: Level of the sequential test.
        simulations: S; fewer for very large campaigns.
    """
    random = np.random.default_rng(SEED)
    size = per_cell * table.size
    count = int(np.clip(_MOST_TRIALS // size, min(_FEWEST, simulations), simulations))
    at_once = max(1, _TRIALS_AT_ONCE // size)
    successes, largest, decided = [], [], []
    for done in range(0, count, at_once):
        outcomes = random.random((min(at_once, count - done), per_cell, *table.shape)) < table
        courses = [_course(outcomes, *pair) for pair in declared]
        successes.append(outcomes.sum(axis=1))
        largest.append(np.stack([course.max(axis=1, initial=0.0) for course in courses], axis=-1))
        reached = [np.maximum.accumulate(course >= -np.log(alpha), axis=1).sum(axis=0) for course in courses]
        decided.append(np.stack(reached))
    half = np.sum(decided, axis=0) >= 0.5 * count
    stride = _stride(per_cell * table.shape[1])
    stops = [2 * stride * int(np.argmax(row) + 1) if row.any() else None for row in half]
    return Sessions(np.concatenate(successes), np.concatenate(largest), stops)


def _course(outcomes: NDArray[np.bool_], first: int, second: int) -> Floats:
    """Log e-values of a pair as its trials come in, shape (S, looks); many pairs of trials are looked at by strides."""
    flat = [outcomes[:, :, policy].reshape(len(outcomes), -1) for policy in (first, second)]
    stride = _stride(flat[0].shape[1])
    wins = np.cumsum(flat[0] & ~flat[1], axis=1, dtype=np.int64)[:, stride - 1 :: stride]
    losses = np.cumsum(flat[1] & ~flat[0], axis=1, dtype=np.int64)[:, stride - 1 :: stride]
    return log_e_value(wins, losses)


def _stride(pairs: int) -> int:
    return max(1, pairs // _MOST_LOOKS)


def pair_p(successes: Ints, trials: Ints, declared: Sequence[tuple[int, int]]) -> Floats:
    """p-values of the primary test of each pair, shape (S, pairs).

    Args:
        successes: Shape (S, P, L).
        trials: Shape (P, L).
        declared: Pairs by index.
    """
    return np.stack([cmh_p(successes[:, pair], trials[list(pair)]) for pair in map(list, declared)], axis=-1)
