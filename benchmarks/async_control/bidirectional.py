"""Bidirectional decoding (Liu et al. 2024): many chunks, of which the one is chosen that goes on best.

Backward coherence keeps the chunks nearest to the running plan; forward contrast prefers one near the other good ones
and far from those of a weak policy, an early checkpoint of the same training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.network import Array

CANDIDATES: Final = 8
"""Chunks of either policy to choose from."""
KEPT: Final = 3
"""How many of them, the most coherent ones, enter the forward contrast; the authors keep a third."""
DECAY: Final = 0.99
"""Weight of each further row in the backward coherence, the authors' default."""


def choose(strong: Array, weak: Array, running: Array) -> Array:
    """The best of the strong policy's chunks, shape (B, T, actions).

    Args:
        strong: Candidates, shape (N, B, T, actions).
        weak: The weak policy's, shape (N, B, T, actions).
        running: The running plan's rows as far as they go, shape (B, overlap, actions); 0 rows where there is none.
    """
    backward = incoherence(strong, running)
    good, distance = nearest(strong, backward)
    bad, _ = nearest(weak, incoherence(weak, running))
    forward = np.stack([_spread(one, good) - _spread(one, bad) for one in good])
    best = np.argmin(distance + forward, axis=0)
    chosen: Array = good[best, np.arange(len(best))]
    return chosen


def incoherence(candidates: Array, running: Array) -> Array:
    """Weighted mean distance of candidates (N, B, T, actions) to a plan (B, overlap, actions), shape (N, B)."""
    overlap = running.shape[1]
    if not overlap:
        return np.zeros(candidates.shape[:2], np.float32)
    weights = DECAY ** np.arange(overlap, dtype=np.float32)
    apart = np.linalg.norm(candidates[:, :, :overlap] - running, axis=-1)
    return np.asarray(apart @ (weights / weights.sum()), np.float32)


def nearest(candidates: Array, distance: Array) -> tuple[Array, Array]:
    """The `KEPT` candidates nearest to the plan, (KEPT, B, T, actions), with their distances (KEPT, B)."""
    order: NDArray[np.int64] = np.argsort(distance, axis=0, kind="stable")[:KEPT]
    episodes = np.arange(distance.shape[1])
    return candidates[order, episodes], distance[order, episodes]


def _spread(one: Array, others: Array) -> Array:
    """Mean distance over rows and others of a chunk (B, T, actions) to others (M, B, T, actions), shape (B,)."""
    distance: Array = np.linalg.norm(others - one, axis=-1).mean(axis=(0, 2))
    return distance
