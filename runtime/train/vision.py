"""The vision tower of Being-H0.5 (InternViT) and the connector to the language model, in PyTorch.

Parameter names are those of the published checkpoints, so that a state dictionary is a checkpoint.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from unichunk.runtime.compile.config import BeingHConfig, VisionConfig


def _norm(config: VisionConfig) -> nn.Module:
    if config.norm == "rms_norm":
        return nn.RMSNorm(config.width, eps=config.norm_eps)
    return nn.LayerNorm(config.width, eps=config.norm_eps)


class Embeddings(nn.Module):
    """Patches, the class token before them, and learned positions."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.grid = config.pretrained_grid
        self.class_embedding = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        self.patch_embedding = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.position_embedding = nn.Parameter(0.1 * torch.randn(1, config.pretrained_grid**2 + 1, config.width))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) to tokens (B, 1 + g g, v)."""
        patches = self.patch_embedding(images)
        grid = patches.shape[-1]
        tokens = torch.cat([self.class_embedding.expand(len(images), -1, -1), patches.flatten(2).mT], dim=1)
        embedded: Tensor = tokens + self._positions(grid)
        return embedded

    def _positions(self, grid: int) -> Tensor:
        if grid == self.grid:
            return self.position_embedding
        first, rest = self.position_embedding[:, :1], self.position_embedding[:, 1:]
        square = rest.reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        resized = functional.interpolate(square, size=(grid, grid), mode="bicubic", align_corners=False)
        return torch.cat([first, resized.flatten(2).mT], dim=1)


class Attention(nn.Module):
    """Attention over all tokens, fused q, k, v."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.qkv_bias)
        self.proj = nn.Linear(config.width, config.width)
        self.normalize = config.qk_normalization
        if self.normalize:
            self.q_norm = nn.RMSNorm(config.width, eps=config.norm_eps)
            self.k_norm = nn.RMSNorm(config.width, eps=config.norm_eps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, n, v) to (B, n, v)."""
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        if self.normalize:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        # Written out: the fused kernels are slow for heads this small on CPUs.
        scores = (query * query.shape[-1] ** -0.5) @ key.mT
        heads = scores.softmax(dim=-1).to(query.dtype) @ value
        attended: Tensor = self.proj(heads.transpose(1, 2).flatten(2))
        return attended


class Mlp(nn.Module):
    """Two layers with the exact GELU between them."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp)
        self.fc2 = nn.Linear(config.mlp, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, n, v) to (B, n, v)."""
        mixed: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return mixed


class Layer(nn.Module):
    """A pre-norm block with layer scale."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(config), _norm(config)
        self.attn, self.mlp = Attention(config), Mlp(config)
        self.ls1 = nn.Parameter(torch.ones(config.width))
        self.ls2 = nn.Parameter(torch.ones(config.width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, n, v) to (B, n, v)."""
        tokens = tokens + self.ls1 * self.attn(self.norm1(tokens))
        mixed: Tensor = tokens + self.ls2 * self.mlp(self.norm2(tokens))
        return mixed


class Vision(nn.Module):
    """The tower: images (B, 3, S, S) to patch features (B, g g, v), without a final norm."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(Layer(config) for _ in range(config.layers))})

    def forward(self, images: Tensor) -> Tensor:
        """Encode images; the class token is dropped at the end."""
        tokens = self.embeddings(images)
        for layer in self.encoder["layers"]:
            tokens = layer(tokens)
        patches: Tensor = tokens[:, 1:]
        return patches


class Connector(nn.Module):
    """Four neighbouring patches become one token of the language model."""

    def __init__(self, config: BeingHConfig) -> None:
        super().__init__()
        inside, outside = 4 * config.vision.width, config.language.width
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(inside), nn.Linear(inside, outside), nn.GELU(), nn.Linear(outside, outside)
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Patch features (B, g g, v) to image tokens (B, g g / 4, h)."""
        projected: Tensor = self.mlp1(space_to_depth(patches))
        return projected


def space_to_depth(patches: Tensor) -> Tensor:
    """Patch features (B, g g, v) to (B, g g / 4, 4 v), in the published order of values."""
    batch, count, width = patches.shape
    grid = round(count**0.5)
    squares = patches.reshape(batch, grid, grid // 2, 2 * width).transpose(1, 2)
    return squares.reshape(batch, grid // 2, grid // 2, 4 * width).transpose(1, 2).flatten(1, 2)
