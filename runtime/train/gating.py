"""Manifold-Preserving Gating (MPG) in PyTorch: action embeddings, enhanced as far as they agree with an anchor."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from unichunk.runtime.compile.config import MpgConfig


class Gating(nn.Module):
    """The gate. Its parameters are the checkpoint's `mpg.*`.

    Args:
        config: Strength and temperature.
        width: Width of the language model, h.
        expert: Width of the action expert, e.
    """

    def __init__(self, config: MpgConfig, width: int, expert: int) -> None:
        super().__init__()
        self.strength, self.temperature = config.strength, config.temperature
        self.obs_proj = nn.Linear(width, width)
        self.action_proj = nn.Linear(expert, width)
        self.enhancement_proj = nn.Linear(width, width)

    def forward(self, features: Tensor, anchor: Tensor, directions: Tensor) -> Tensor:
        """Enhance features.

        Args:
            features: F, shape (B, 1 + T, h).
            anchor: Z, embedding of the actions to agree with, shape (B, T, e).
            directions: Unit vectors to compare along, shape (M, h).

        Returns:
            F' of the same shape. The gate's gradient reaches `action_proj` alone: neither features nor anchor are to
            learn to agree.
        """
        observed = self.obs_proj(features)
        gate = torch.exp(-self.discrepancy(observed.detach(), anchor.detach(), directions) / self.temperature)
        return features + self.strength * self.enhancement_proj(gate[:, None, None] * observed)

    def discrepancy(self, observed: Tensor, anchor: Tensor, directions: Tensor) -> Tensor:
        """D, the sliced squared Wasserstein distance to the anchor's mean, shape (B,)."""
        width = observed.shape[-1]
        here = functional.layer_norm(observed, (width,))
        there = functional.layer_norm(self.action_proj(anchor), (width,)).mean(dim=1, keepdim=True)
        return ((here - there) @ directions.T).square().mean(dim=(1, 2))
