"""The prefix network: image, instruction and joint state to one vector of features, once per observation."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

BYTES: Final = 257
"""Token ids: 0 for padding, byte + 1 otherwise."""


class SpatialSoftmax(nn.Module):
    """Where each channel looks: the expected image coordinates under a softmax over the channel's map.

    Args:
        height: Rows of the maps.
        width: Columns of the maps.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        self.register_buffer("grid", torch.stack([x.reshape(-1), y.reshape(-1)], dim=1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) to coordinates (B, 2 C) in [-1, 1]."""
        attention = maps.flatten(2).softmax(dim=-1)
        return (attention @ self.grid).flatten(1)


class Encoder(nn.Module):
    """Convolutions to key points, the mean of the instruction's byte embeddings, the state; mixed by a small MLP.

    Args:
        height: Image height in pixels, a multiple of 4.
        width: Image width in pixels, a multiple of 4.
        views: Number of cameras.
        state_width: Number of state values that are in use.
        features: Width of the result before the state is appended.
    """

    def __init__(self, height: int, width: int, views: int, state_width: int, features: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 48, 3, padding=1),
        )
        self.keypoints = SpatialSoftmax(height // 4, width // 4)
        self.embedding = nn.Embedding(BYTES, 16, padding_idx=0)
        self.image_mlp = nn.Sequential(nn.Linear(views * 96, 192), nn.SiLU(), nn.Linear(192, 128))
        self.mix = nn.Sequential(
            nn.Linear(128 + 16 + state_width, features),
            nn.SiLU(),
            nn.Linear(features, features),
            nn.LayerNorm(features),
        )

    def forward(self, images: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a batch.

        Args:
            images: Shape (B, V, 3, H, W), normalized.
            tokens: Shape (B, L), int64, 0 for padding.
            state: State values in use, shape (B, n), normalized.

        Returns:
            Features with the state appended, shape (B, features + n), and what is known from the images alone,
            shape (B, 128), for auxiliary losses.
        """
        batch, views = images.shape[:2]
        points = self.keypoints(self.convolutions(images.flatten(0, 1))).reshape(batch, views * 96)
        seen = self.image_mlp(points)
        present = (tokens > 0).to(images.dtype)[..., None]
        text = (self.embedding(tokens) * present).sum(1) / present.sum(1).clamp(min=1.0)
        return torch.cat([self.mix(torch.cat([seen, text, state], dim=1)), state], dim=1), seen
