"""A training loop for policies with action queries: small ones, for a given number of steps."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch

from unichunk.runtime.train.heads.losses import head_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from unichunk.runtime.train.batches import Batch
    from unichunk.runtime.train.heads.head_policy import HeadPolicy
    from unichunk.runtime.train.settings import TrainingSettings


def train_head(
    policy: HeadPolicy,
    batches: Callable[[], Batch],
    slots: Sequence[int],
    settings: TrainingSettings,
    steps: int,
    *,
    fields_of_view: Tensor | None = None,
    report: Callable[[int, float], None] = lambda _step, _loss: None,
) -> HeadPolicy:
    """Train a policy in place.

    Args:
        policy: The policy.
        batches: Gives the next batch, all of the same robots in the same order.
        slots: Where its values lie.
        settings: How to train; its minutes count for nothing.
        steps: How long.
        fields_of_view: Of each observation's cameras, shape (B, V, 2), [rad]; needed where the policy takes them.
        report: Called after every step with its number and mean loss.

    Returns:
        A copy with averaged weights.
    """
    optimizer = torch.optim.AdamW(policy.parameters(), lr=settings.learning_rate, weight_decay=1e-4, betas=(0.9, 0.98))
    averaged = copy.deepcopy(policy)
    averaged.requires_grad_(requires_grad=False)
    for step in range(steps):
        warm = min(1.0, (step + 1) / settings.warm_up_steps)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        loss = head_losses(policy, batches(), slots, settings, fields_of_view).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for kept, new in zip(averaged.parameters(), policy.parameters(), strict=True):
                kept.lerp_(new, 1.0 - min(settings.average, (step + 1) / (step + 11.0)))
        report(step, loss.item())
    averaged.eval()
    return averaged
