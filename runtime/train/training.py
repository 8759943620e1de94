"""The training loop: a given number of minutes, then the averaged weights."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from unichunk.runtime.train.flow import flow_loss, locked_rows, noisy_rows, sample_times
from unichunk.runtime.train.slots import silence_other_slots, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from unichunk.runtime.train.being_h import BeingH
    from unichunk.runtime.train.samples import Batch, BatchSampler


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        minutes: Wall-clock budget of the loop, [min].
        slots: Slots of the unified space in use, by state and action alike.
        image_mean, image_std: Normalization of images after division by 255, per channel.
        most_steps: Steps after which it ends even within the budget.
        learning_rate: Its peak; a short warm-up, then a cosine to zero over the budget.
        warm_up_steps: Length of the warm-up.
        average: Decay of the moving average of the weights.
        goal_weight: Weight of the auxiliary loss that asks the image tokens where the goals are.
        refined_share: Share of the samples that are refinement rounds (MPG), where the checkpoint has it.
        anchor_noise: Standard deviation of what sets the anchor of those off the clean rows, normalized.
        pixel_noise: Standard deviation of noise on normalized pixels.
        state_noise: Standard deviation of noise on normalized state values.
        report_every_s: Time between two reports, [s].
    """

    minutes: float
    slots: tuple[int, ...]
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    most_steps: int | None = None
    learning_rate: float = 1.0e-3
    warm_up_steps: int = 200
    average: float = 0.998
    goal_weight: float = 0.5
    refined_share: float = 0.4
    anchor_noise: float = 0.1
    pixel_noise: float = 0.06
    state_noise: float = 0.03
    report_every_s: float = 30.0


def train(
    policy: BeingH, sampler: BatchSampler, settings: TrainingSettings, report: Callable[[str], None]
) -> tuple[BeingH, int]:
    """Train a policy in place.

    Args:
        policy: The policy.
        sampler: Source of batches.
        settings: How to train.
        report: Called with a line of progress now and then.

    Returns:
        A copy with averaged weights and the number of steps taken.
    """
    silence_other_slots(policy, settings.slots)
    head = GoalHead(policy, sampler.batch().goals.shape[1:].numel())
    parameters = [*policy.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=1e-4, betas=(0.9, 0.98))
    averaged = copy.deepcopy(policy).requires_grad_(requires_grad=False)
    begin = reported = time.monotonic()
    step, sums = 0, torch.zeros(3)
    while (spent := _spent(settings, time.monotonic() - begin, step)) < 1.0:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / settings.warm_up_steps)
            group["lr"] = settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * spent))
        flow, goal = losses(policy, head, sampler.batch(), settings)
        optimizer.zero_grad(set_to_none=True)
        (flow + settings.goal_weight * goal).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        _average(averaged, policy, min(settings.average, step / (step + 10.0)))
        sums += torch.tensor([flow.item(), goal.item(), 1.0])
        if time.monotonic() - reported > settings.report_every_s:
            flow_mean, goal_mean = (sums[:2] / sums[2]).tolist()
            report(f"training: {100 * spent:3.0f} %, step {step}, flow loss {flow_mean:.5f}, goal loss {goal_mean:.5f}")
            reported, sums = time.monotonic(), torch.zeros(3)
    return averaged.eval(), step


class GoalHead(nn.Module):
    """Reads off one view's image tokens where all goals are: an auxiliary loss that teaches the vision tower to look.

    Args:
        policy: The policy.
        values: Number of values to say.
    """

    def __init__(self, policy: BeingH, values: int) -> None:
        super().__init__()
        self.read = nn.Linear(policy.config.image_tokens * policy.config.language.width, values)

    def forward(self, seen: Tensor) -> Tensor:
        """Image tokens (B, n_tok, h) to values (B, n)."""
        said: Tensor = self.read(seen.flatten(1))
        return said


def losses(policy: BeingH, head: GoalHead, batch: Batch, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """Flow loss over the postfix, and squared error of the goals read off the images; both scalar."""
    state = batch.state + settings.state_noise * torch.randn_like(batch.state)
    prefix = policy.prefix(augmented(batch.images, settings), batch.tokens, spread(state, settings.slots))
    count, buckets = len(batch.delay), policy.config.time_buckets
    time_ = sample_times(count, policy.config.denoising_steps)
    locked = locked_rows(batch.delay, batch.rows.shape[1])
    noise = torch.randn_like(batch.rows)
    noisy, row_time = noisy_rows(batch.rows, noise, time_, locked)
    anchor, gated = None, None
    if policy.config.mpg is not None:
        near = batch.rows + torch.where(locked[..., None], 0.0, settings.anchor_noise) * torch.randn_like(batch.rows)
        directions = torch.randn(policy.config.mpg.projections, policy.config.language.width)
        anchor = spread(near, settings.slots), nn.functional.normalize(directions, dim=1)
        gated = torch.rand(count) < settings.refined_share
    bucket = (row_time * buckets + 1e-3).long()
    velocity = policy.velocity(spread(noisy, settings.slots), bucket, prefix, anchor, gated)
    flow = flow_loss(velocity[..., list(settings.slots)].float(), batch.rows, noise, batch.delay)
    return flow, (head(prefix.seen).float() - batch.goals.flatten(1)).square().mean()


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
    mean, std = (torch.tensor(values)[:, None, None] for values in (settings.image_mean, settings.image_std))
    pixels = (pixels * gain * tint + offset - mean) / std
    return pixels + settings.pixel_noise * torch.randn_like(pixels)


def _spent(settings: TrainingSettings, seconds: float, steps: int) -> float:
    """Share of the budget that is used up."""
    by_steps = 0.0 if settings.most_steps is None else steps / settings.most_steps
    return max(seconds / (60.0 * settings.minutes), by_steps)


def _average(averaged: BeingH, policy: BeingH, decay: float) -> None:
    with torch.no_grad():
        for kept, new in zip(averaged.parameters(), policy.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)
