"""What is minimized: the flow in the postfix, and where the vision tower says that the goals are."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from unichunk.runtime.train.being_h import SlotMasks
from unichunk.runtime.train.flow import flow_errors, locked_rows, noisy_rows, sample_times
from unichunk.runtime.train.slots import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.train.batches import Batch
    from unichunk.runtime.train.being_h import BeingH
    from unichunk.runtime.train.settings import TrainingSettings


class GoalHeads(nn.Module):
    """Reads off one view's image tokens where all goals are: an auxiliary loss that teaches the vision tower to look.

    Every robot has its own head: they stand elsewhere and see through other cameras.

    Args:
        policy: The policy.
        values: For each robot, the number of values to say.
    """

    def __init__(self, policy: BeingH, values: Sequence[int]) -> None:
        super().__init__()
        seen = policy.config.image_tokens * policy.config.language.width
        self.read = nn.ModuleList(nn.Linear(seen, count) for count in values)

    def error(self, seen: Tensor, places: Sequence[Tensor]) -> Tensor:
        """Squared error of what is read off the image tokens.

        Args:
            seen: Image tokens, shape (B, n_tok, h), robot after robot.
            places: The goals of each robot's observations, shape (B_r, A, n_r).

        Returns:
            Mean over robots and values, scalar.
        """
        parts = seen.split([len(part) for part in places])
        errors = [
            (read(part.flatten(1)).float() - goal.flatten(1)).square().mean()
            for read, part, goal in zip(self.read, parts, places, strict=True)
        ]
        return torch.stack(errors).mean()


class Losses(NamedTuple):
    """What is minimized.

    Attributes:
        flow: Squared error of the velocity in the robot's own slots, over the postfix, shape (B R,).
        other: The same in the other slots, shape (B R,).
        goal: Squared error of the goals read off the images, scalar.
        imbalance: Of a mixture's experts in the batch, scalar; zero without one.
    """

    flow: Tensor
    other: Tensor
    goal: Tensor
    imbalance: Tensor


def losses(policy: BeingH, goals: GoalHeads, batch: Batch, slots: Sequence[int], settings: TrainingSettings) -> Losses:
    """The losses of a batch whose values lie in these slots."""
    state = batch.state + settings.state_noise * torch.randn_like(batch.state) * batch.own
    own = spread(batch.own, slots)
    images = augmented(batch.images, settings)
    prefix = policy.prefix(images, batch.tokens, spread(state, slots), SlotMasks(state=own, action=own))
    count, buckets = len(batch.delay), policy.config.time_buckets
    own = batch.own.repeat_interleave(count // len(batch.own), dim=0)
    time_ = sample_times(count, policy.config.denoising_steps)
    locked = locked_rows(batch.delay, batch.rows.shape[1])
    noise = torch.randn_like(batch.rows) * own[:, None]
    noisy, row_time = noisy_rows(batch.rows, noise, time_, locked)
    anchor, gated = None, None
    if policy.config.mpg is not None:
        off = settings.anchor_noise * torch.randn_like(batch.rows) * own[:, None]
        near = torch.where(locked[..., None], batch.rows, batch.rows + off)
        directions = torch.randn(policy.config.mpg.projections, policy.config.language.width)
        anchor = spread(near, slots), nn.functional.normalize(directions, dim=1)
        gated = torch.rand(count) < settings.refined_share
    bucket = (row_time * buckets + 1e-3).long()
    velocity = policy.velocity(spread(noisy, slots), bucket, prefix, anchor, gated)[..., list(slots)].float()
    flow, other = flow_errors(velocity, batch.rows, noise, batch.delay, own)
    imbalance = flow.new_zeros(()) if prefix.choice is None else prefix.choice.imbalance
    return Losses(flow, other, goals.error(prefix.seen, batch.places), imbalance)


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
    # Uniform noise: a quarter of the time that normal noise takes, and as good.
    return pixels + settings.pixel_noise * 3.0**0.5 * (2.0 * torch.rand_like(pixels) - 1.0)
