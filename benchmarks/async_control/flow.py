"""A flow policy: chunks of actions from noise in a few Euler steps, with a prefix of them locked where asked.

Rectified flow: at time 0 a chunk is noise, at time 1 it is the actions, and the network tells the velocity between.
Each row has a time of its own: locked rows are at time 1 from the start (training-time real-time chunking, Black et
al. 2025; Being-H0.5's Universal Async Chunking).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.benchmarks.async_control.network import Array, Network

STEPS: Final = 5
"""Euler steps."""
BLOCK: Final = 256
"""Episodes sampled at a time: what passes through a layer stays in the processor's cache."""


@dataclass(frozen=True)
class FlowPolicy:
    """A network and what its inputs are scaled by.

    The network's input is the chunk (T * actions), the scaled observation and the time of each row (T).

    Attributes:
        network: Tells velocities.
        mean: Of the observations it was trained on, shape (observations,).
        scale: Their standard deviation, shape (observations,).
        chunk_length: T.
        actions: Width of an action.
    """

    network: Network
    mean: Array
    scale: Array
    chunk_length: int
    actions: int

    def scaled(self, observations: Array) -> Array:
        """Observations (B, observations) as the network takes them."""
        return (observations - self.mean) / self.scale

    def inputs(self, chunks: Array, scaled: Array, times: Array) -> Array:
        """The network's inputs for chunks (B, T, actions) whose rows are at `times` (B, T)."""
        return np.concatenate([chunks.reshape(len(chunks), -1), scaled, times], axis=1)

    def velocity(self, chunks: Array, scaled: Array, times: Array) -> Array:
        """Velocity of each row, shape (B, T, actions)."""
        return self.network(self.inputs(chunks, scaled, times)).reshape(chunks.shape)

    def noise(self, random: np.random.Generator, count: int) -> Array:
        """Where sampling begins, shape (B, T, actions)."""
        return random.standard_normal((count, self.chunk_length, self.actions), dtype=np.float32)

    def sample(self, observations: Array, noise: Array, prefix: Array | None = None) -> Array:
        """Chunks (B, T, actions), clipped to [-1, 1] except for the locked rows, which stay bit for bit.

        Args:
            observations: Shape (B, observations).
            noise: Shape (B, T, actions).
            prefix: Rows to lock, shape (B, d, actions).
        """
        return in_blocks(self._sample_block, observations, noise, noise[:, :0] if prefix is None else prefix)

    def _sample_block(self, observations: Array, noise: Array, prefix: Array) -> Array:
        locked = prefix.shape[1]
        scaled = self.scaled(observations)
        chunks = noise.copy()
        times = np.ones((len(chunks), self.chunk_length), np.float32)
        for step in range(STEPS):
            chunks[:, :locked] = prefix
            times[:, locked:] = step / STEPS
            chunks += self.velocity(chunks, scaled, times) / np.float32(STEPS)
        np.clip(chunks, -1.0, 1.0, out=chunks)
        chunks[:, :locked] = prefix
        return chunks


def in_blocks(sample: Callable[..., Array], *arrays: Array) -> Array:
    """The result of a sampler whose arguments are cut along their first axis."""
    starts = range(0, len(arrays[0]), BLOCK)
    return np.concatenate([sample(*(array[start : start + BLOCK] for array in arrays)) for start in starts])
