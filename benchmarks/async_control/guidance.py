"""Inference-time real-time chunking (Black, Galliker, Levine 2025): a policy steered towards the plan that runs.

At every Euler step the estimate of the final chunk is pulled towards the running plan by a pseudo-inverse guidance:
the weighted difference, taken back through the denoiser by a vector-Jacobian product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.async_control.flow import STEPS, FlowPolicy, in_blocks

if TYPE_CHECKING:
    from unichunk.benchmarks.async_control.network import Array

LARGEST_WEIGHT: Final = 5.0
"""Where the guidance is clipped."""


def soft_mask(chunk_length: int, delay: int, overlap: int) -> Array:
    """How much each row shall follow the running plan, shape (T,): 1, an exponential decay, 0.

    Args:
        chunk_length: T.
        delay: d: these rows will have run when the chunk arrives.
        overlap: Rows of the running plan that are there, T - s.
    """
    rows = np.arange(chunk_length)
    fraction = np.clip((overlap - rows) / (overlap - delay + 1), 0.0, 1.0)
    decay = fraction * np.expm1(fraction) / np.expm1(1.0)
    mask: Array = np.where(rows < delay, 1.0, np.where(rows < overlap, decay, 0.0)).astype(np.float32)
    return mask


def guidance_weight(time: float) -> float:
    """Weight at a time t of the flow: min(clip, (1 - t) / (t r^2)) with r^2 = (1-t)^2 / (t^2 + (1-t)^2)."""
    if time <= 0.0:
        return LARGEST_WEIGHT
    left = 1.0 - time
    return min(LARGEST_WEIGHT, (time**2 + left**2) / (time * left))


def pull(
    policy: FlowPolicy, chunks: Array, scaled: Array, time: float, target: Array, mask: Array
) -> tuple[Array, Array]:
    """Velocity, and the direction of the guidance: (W (target - estimate)) d estimate / d chunks.

    Args:
        policy: The denoiser.
        chunks: Shape (B, T, actions), at `time`.
        scaled: Observations, scaled, shape (B, observations).
        time: Of all rows, in [0, 1).
        target: The running plan, shape (B, T, actions).
        mask: W, shape (T,).
    """
    times = np.full(chunks.shape[:2], time, np.float32)
    output, trace = policy.network.trace(policy.inputs(chunks, scaled, times))
    velocity = output.reshape(chunks.shape)
    left = np.float32(1.0 - time)
    error = mask[:, None] * (target - (chunks + left * velocity))
    back = policy.network.input_gradient(trace, error.reshape(output.shape))[:, : output.shape[1]]
    return velocity, error + left * back.reshape(chunks.shape)


def sample_guided(policy: FlowPolicy, observations: Array, noise: Array, target: Array, mask: Array) -> Array:
    """Chunks (B, T, actions), in [-1, 1], that follow `target` (B, T, actions) as far as `mask` (T,) asks."""

    def sample_block(observations: Array, noise: Array, target: Array) -> Array:
        scaled = policy.scaled(observations)
        chunks = noise.copy()
        for step in range(STEPS):
            velocity, direction = pull(policy, chunks, scaled, step / STEPS, target, mask)
            chunks += (velocity + np.float32(guidance_weight(step / STEPS)) * direction) / np.float32(STEPS)
        return np.clip(chunks, -1.0, 1.0, out=chunks)

    return in_blocks(sample_block, observations, noise, target)
