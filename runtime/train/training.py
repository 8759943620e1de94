"""The training loop: a given number of minutes, then the averaged weights."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from unichunk.runtime.train.flow import flow_loss, locked_rows, noisy_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from unichunk.runtime.train.model import FlowPolicy
    from unichunk.runtime.train.samples import Batch, BatchSampler


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        minutes: Wall-clock budget of the loop, [min].
        most_steps: Steps after which it ends even within the budget.
        learning_rate: Its peak; a short warm-up, then a cosine to zero over the budget.
        warm_up_steps: Length of the warm-up.
        average: Decay of the moving average of the weights.
        goal_weight: Weight of the auxiliary loss that asks the image features where the goal is.
        image_mean, image_std: Normalization of images after division by 255, for all channels.
        pixel_noise: Standard deviation of noise on normalized pixels.
        state_noise: Standard deviation of noise on normalized state values.
        report_every_s: Time between two reports, [s].
    """

    minutes: float
    most_steps: int | None = None
    learning_rate: float = 1.2e-3
    warm_up_steps: int = 200
    average: float = 0.998
    goal_weight: float = 0.5
    image_mean: float = 0.5
    image_std: float = 0.25
    pixel_noise: float = 0.06
    state_noise: float = 0.03
    report_every_s: float = 30.0


def train(
    policy: FlowPolicy, sampler: BatchSampler, settings: TrainingSettings, report: Callable[[str], None]
) -> tuple[FlowPolicy, int]:
    """Train a policy in place.

    Args:
        policy: The policy.
        sampler: Source of batches.
        settings: How to train.
        report: Called with a line of progress now and then.

    Returns:
        A copy with averaged weights, ready for export, and the number of steps taken.
    """
    optimizer = torch.optim.AdamW(policy.parameters(), lr=settings.learning_rate, weight_decay=1e-4, betas=(0.9, 0.98))
    averaged = copy.deepcopy(policy).requires_grad_(requires_grad=False)
    begin = reported = time.monotonic()
    step, sums = 0, torch.zeros(3)
    while (spent := _spent(settings, time.monotonic() - begin, step)) < 1.0:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / settings.warm_up_steps)
            group["lr"] = settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * spent))
        flow, goal = losses(policy, sampler.batch(), settings)
        optimizer.zero_grad(set_to_none=True)
        (flow + settings.goal_weight * goal).backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        step += 1
        _average(averaged, policy, min(settings.average, step / (step + 10.0)))
        sums += torch.tensor([flow.item(), goal.item(), 1.0])
        if time.monotonic() - reported > settings.report_every_s:
            flow_mean, goal_mean = (sums[:2] / sums[2]).tolist()
            report(f"training: {100 * spent:3.0f} %, step {step}, flow loss {flow_mean:.5f}, goal loss {goal_mean:.5f}")
            reported, sums = time.monotonic(), torch.zeros(3)
    return averaged.eval(), step


def _spent(settings: TrainingSettings, seconds: float, steps: int) -> float:
    """Share of the budget that is used up."""
    by_steps = 0.0 if settings.most_steps is None else steps / settings.most_steps
    return max(seconds / (60.0 * settings.minutes), by_steps)


def losses(policy: FlowPolicy, batch: Batch, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """Flow loss over the postfix, and squared error of the goal read off the images; both scalar."""
    images = augmented(batch.images, settings)
    state = batch.state + settings.state_noise * torch.randn_like(batch.state)
    features, seen = policy.encoder(images, batch.tokens, state)
    draws = len(batch.delay) // len(state)
    features = features.repeat_interleave(draws, dim=0)
    time_ = torch.rand(len(batch.delay))
    locked = locked_rows(batch.delay, batch.rows.shape[1])
    noisy, row_time = noisy_rows(batch.rows, torch.randn_like(batch.rows), time_, locked)
    predicted = policy.denoiser(noisy, row_time, batch.rows, batch.delay, features)
    return flow_loss(predicted, batch.rows, time_, batch.delay), (policy.goal_head(seen) - batch.goal).square().mean()


def augmented(images: Tensor, settings: TrainingSettings) -> Tensor:
    """Normalized images under random light and sensor noise.

    Args:
        images: Shape (B, V, H, W, 3), uint8.
        settings: Normalization and amount of noise.

    Returns:
        Shape (B, V, 3, H, W), float32.
    """
    pixels = images.permute(0, 1, 4, 2, 3).float() / 255.0
    batch, views = pixels.shape[:2]
    gain = 1.0 + 0.15 * (2.0 * torch.rand(batch, views, 1, 1, 1) - 1.0)
    tint = 1.0 + 0.05 * (2.0 * torch.rand(batch, views, 3, 1, 1) - 1.0)
    offset = 0.06 * (2.0 * torch.rand(batch, views, 1, 1, 1) - 1.0)
    pixels = (pixels * gain * tint + offset - settings.image_mean) / settings.image_std
    return pixels + settings.pixel_noise * torch.randn_like(pixels)


def _average(averaged: FlowPolicy, policy: FlowPolicy, decay: float) -> None:
    with torch.no_grad():
        for kept, new in zip(averaged.parameters(), policy.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)
