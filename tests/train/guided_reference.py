"""Inference-time real-time chunking in PyTorch: the derivative through the network is autograd's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from unichunk.benchmarks.async_control.guidance import guidance_weight, soft_mask

if TYPE_CHECKING:
    from torch import Tensor

    from unichunk.runtime.train.being_h import BeingH, Prefix
    from unichunk.runtime.train.gating import Gating


def guided_sample(
    network: BeingH,
    prefix: Prefix,
    noise: Tensor,
    plan: Tensor,
    delay: int,
    overlap: int,
    steps: int,
    own: Tensor,
    directions: Tensor | None = None,
) -> Tensor:
    """A chunk (T, 200) from noise (rounds, T, 200), steered towards plan (T, 200).

    Of the plan, `overlap` rows count, in the slots where `own` (1, 200) is 1.
    """
    mask = torch.from_numpy(soft_mask(len(plan), delay, overlap)).to(plan.dtype)[:, None] * own
    target = torch.where(torch.arange(len(plan))[:, None] < overlap, plan, 0.0)
    anchor = None
    for start in noise:
        rows = start
        for step in range(steps):
            time = step / steps
            rows = rows.detach().requires_grad_()
            buckets = torch.full((1, len(rows)), int(time * network.config.time_buckets))
            velocity = network.velocity(rows[None], buckets, prefix, anchor)[0]
            estimate = rows + (1.0 - time) * velocity
            error = (mask * (target - estimate)).detach()
            (pull,) = torch.autograd.grad(estimate, rows, error)
            rows = rows + (velocity + guidance_weight(time) * pull) / steps
        rows = torch.cat([plan[:delay], rows[delay:]]).detach()
        if directions is not None:
            anchor = (rows[None], directions)
    return rows


def undetached(self: Gating, features: Tensor, anchor: Tensor, directions: Tensor) -> Tensor:
    """The gate as a function of the features: what trains it cuts the gradient there, a derivative must not."""
    observed = self.obs_proj(features)
    gate = torch.exp(-self.discrepancy(observed, anchor, directions) / self.temperature)
    return features + self.strength * self.enhancement_proj(gate[:, None, None] * observed)
