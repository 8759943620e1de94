"""Rectified flow with a locked prefix: the path from noise to rows, and the loss on what is not locked.

Every row has its own time: a locked row is clean at time 1, the others share a time t in [0, 1) and lie on the straight
line x_t = (1 - t) noise + t rows. The network predicts its velocity, rows - noise.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

ROW_HALF_LIFE: Final = 8.0
"""Rows this far behind the prefix count half as much: they are seldom executed before a newer chunk replaces them."""

GRID_SHARE: Final = 0.7
"""Share of the times drawn from those that the sampler will visit; the others are anywhere."""


def sample_times(count: int, steps: int) -> Tensor:
    """Times in [0, 1) to train at, shape (count,): mostly k / K of a sampler with K Euler steps."""
    grid = torch.randint(steps, (count,)) / steps
    return torch.where(torch.rand(count) < GRID_SHARE, grid, torch.rand(count))


def locked_rows(delay: Tensor, rows: int) -> Tensor:
    """Which rows are locked.

    Args:
        delay: Length of the prefix, shape (B,), int64.
        rows: T.

    Returns:
        Shape (B, T), bool: row i is locked where i < delay.
    """
    return torch.arange(rows, device=delay.device)[None, :] < delay[:, None]


def noisy_rows(clean: Tensor, noise: Tensor, time: Tensor, locked: Tensor) -> tuple[Tensor, Tensor]:
    """Rows on their way from noise to clean, and the time of each.

    Args:
        clean: Rows, shape (B, T, n), normalized.
        noise: Standard normal, shape (B, T, n).
        time: One time for each sample's free rows, shape (B,), in [0, 1).
        locked: Shape (B, T), bool.

    Returns:
        x_t, shape (B, T, n), and row times, shape (B, T); locked rows are clean and at time 1.
    """
    row_time = torch.where(locked, torch.ones_like(time)[:, None], time[:, None])
    mixed = (1.0 - row_time)[..., None] * noise + row_time[..., None] * clean
    return torch.where(locked[..., None], clean, mixed), row_time


def flow_errors(velocity: Tensor, clean: Tensor, noise: Tensor, delay: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors of the velocity of each sample, over the postfix only.

    Args:
        velocity: Predicted, shape (B, T, n).
        clean: Clean rows, shape (B, T, n).
        noise: Where the path began, shape (B, T, n); zero, as the clean rows are, where a slot is not the robot's own.
        delay: Shape (B,); rows before it do not count at all.
        own: Which slots are the robot's own, shape (B, n), bool.

    Returns:
        As `row_errors`.
    """
    return row_errors((velocity - (clean - noise)).square(), delay, own)


def row_errors(error: Tensor, delay: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Errors of each sample over the postfix only, whose later rows count less.

    Args:
        error: Of each value, shape (B, T, n).
        delay: Shape (B,); rows before it do not count at all.
        own: Which slots are the robot's own, shape (B, n), bool.

    Returns:
        Weighted means over the free rows, of the mean over the robot's own slots and of that over the others (zero
        where there are none), each of shape (B,).
    """
    rows = error.shape[1]
    behind = torch.arange(rows, device=delay.device)[None, :] - delay[:, None]
    weight = torch.where(behind >= 0, 0.5 ** (behind.clamp(min=0) / ROW_HALF_LIFE), 0.0)
    weight = weight / weight.sum(dim=1, keepdim=True)

    def mean(counted: Tensor) -> Tensor:
        per_row = torch.where(counted[:, None], error, 0.0).sum(dim=-1) / counted.sum(dim=-1).clamp(min=1)[:, None]
        # `where` and not a product with zero: what is said about locked rows must not matter even if it is nan.
        return torch.where(behind >= 0, weight * per_row, 0.0).sum(dim=1)

    return mean(own), mean(~own)
