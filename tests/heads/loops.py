"""Samplers as plain loops in PyTorch: what compiled graphs must compute."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead
from unichunk.runtime.train.heads.diffusion import DdimDecoder, FlowDecoder
from unichunk.runtime.train.heads.regression import RegressionDecoder

if TYPE_CHECKING:
    from unichunk.runtime.train.heads.context import Observed
    from unichunk.runtime.train.heads.head_policy import HeadPolicy


@torch.no_grad()
def sampled(policy: HeadPolicy, seen: Observed, noise: Tensor, previous: Tensor, delay: int) -> Tensor:
    """Chunks (B, T, 200) from noise and previous chunks of that shape, with as many rows locked."""
    if isinstance(policy.decoder, FlowDecoder):
        return _flow(policy, seen, noise, previous, delay)
    if isinstance(policy.decoder, DdimDecoder):
        return _ddim(policy, seen, noise, previous, delay)
    assert isinstance(policy.decoder, RegressionDecoder)
    rows = policy.decoder(policy.queried(seen))
    rows[:, :delay] = previous[:, :delay]
    return rows


def _flow(policy: HeadPolicy, seen: Observed, noise: Tensor, previous: Tensor, delay: int) -> Tensor:
    """Euler steps from time 0 to 1; locked rows stay at time 1."""
    decoder, head = policy.decoder, policy.config.head
    assert isinstance(decoder, FlowDecoder)
    assert isinstance(head, FlowHead)
    queried, rows = policy.queried(seen), noise.clone()
    for step in range(head.steps):
        rows[:, :delay] = previous[:, :delay]
        buckets = torch.full(rows.shape[:2], int(step / head.steps * head.buckets))
        buckets[:, :delay] = head.buckets
        rows = rows + decoder(rows, buckets, queried, seen.action_mask) / head.steps
        if policy.config.action_mask:
            rows = rows * seen.action_mask[:, None]
    rows[:, :delay] = previous[:, :delay]
    return rows


def _ddim(policy: HeadPolicy, seen: Observed, noise: Tensor, previous: Tensor, delay: int) -> Tensor:
    """DDIM written out: estimate the clean rows, then go back to the next, lower noise."""
    decoder, head, config = policy.decoder, policy.config.head, policy.config
    assert isinstance(decoder, DdimDecoder)
    assert isinstance(head, DdimHead)
    signal = _signal(head.training_steps)
    times = [head.training_steps * k // head.steps for k in range(head.steps)]
    said, state = policy.queried(seen)[:, 0], policy.state_encoder(seen)
    nothing = decoder.no_condition.expand_as(said)
    own = seen.action_mask[:, None] if config.action_mask else torch.ones(1)
    rows = noise * own
    for k in reversed(range(head.steps)):
        rows[:, :delay] = previous[:, :delay]
        time = torch.full(rows.shape[:2], times[k])
        time[:, :delay] = -1
        now = torch.full((len(rows),), times[k])
        found, without = (decoder(rows, time, now, condition, state, seen.action_mask) for condition in (said, nothing))
        found = without + head.guidance_scale * (found - without)
        clean = (rows - math.sqrt(1 - signal[times[k]]) * found) / math.sqrt(signal[times[k]])
        left = signal[times[k - 1]] if k else 1.0
        rows = (math.sqrt(left) * clean + math.sqrt(1 - left) * found) * own
    rows[:, :delay] = previous[:, :delay]
    return rows


def _signal(count: int) -> list[float]:
    """The squared cosine schedule, one product after the other."""

    def share(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    products, product = [], 1.0
    for step in range(count):
        product *= 1 - min(1 - share((step + 1) / count) / share(step / count), 0.999)
        products.append(product)
    return products
