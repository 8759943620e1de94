"""What context and heads are made of, in PyTorch. Parameter names are those of the checkpoints."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from unichunk.runtime.compile.heads.head_config import NORM_EPS

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import Transformer


def two_layers(inputs: int, hidden: int, outputs: int, activation: type[nn.Module] = nn.GELU) -> nn.Sequential:
    """Linear, an activation, Linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), activation(), nn.Linear(hidden, outputs))


class SelfAttention(nn.Module):
    """Attention of tokens to each other; queries, keys and values come of one product."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, n, w) to the same; the mask is added to the scores, (B or 1, 1, n or 1, n)."""
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        attended: Tensor = self.proj(attend(query, key, value, self.heads, mask))
        return attended


class CrossAttention(nn.Module):
    """Attention of rows to what the context says."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(context, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, rows: Tensor, context: Tensor) -> Tensor:
        """Rows (B, T, w) and context (B, Q, h) to (B, T, w)."""
        key, value = self.key_value(context).chunk(2, dim=-1)
        attended: Tensor = self.proj(attend(self.query(rows), key, value, self.heads))
        return attended


class ContextLayer(nn.Module):
    """A pre-norm layer in which every token attends to all that are no padding."""

    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=NORM_EPS)
        self.attn = SelfAttention(sizes.width, sizes.heads)
        self.norm2 = nn.LayerNorm(sizes.width, eps=NORM_EPS)
        self.mlp = two_layers(sizes.width, sizes.mlp, sizes.width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, n, h) to the same; the mask is added to the scores."""
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        mixed: Tensor = tokens + self.mlp(self.norm2(tokens))
        return mixed


class DiffusionLayer(nn.Module):
    """A layer whose norms are shifted and scaled, and its results gated, by each row's own condition (adaLN).

    Args:
        sizes: Of the decoder.
        context: Width of what the rows attend to beside each other; None for nothing.
    """

    def __init__(self, sizes: Transformer, context: int | None) -> None:
        super().__init__()
        self.attn = SelfAttention(sizes.width, sizes.heads)
        self.mlp = two_layers(sizes.width, sizes.mlp, sizes.width)
        self.modulation = nn.Linear(sizes.width, 6 * sizes.width)
        if context is not None:
            self.cross_norm = nn.LayerNorm(sizes.width, eps=NORM_EPS)
            self.cross = CrossAttention(sizes.width, context, sizes.heads)

    def forward(self, rows: Tensor, condition: Tensor, mask: Tensor | None, context: Tensor | None = None) -> Tensor:
        """Rows (B, n, w) and their conditions (B, n, w), activated, to rows; `context` is (B, Q, h)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition).chunk(6, dim=-1)
        rows = rows + gate1 * self.attn(plain_norm(rows) * (1 + scale1) + shift1, mask)
        if context is not None:
            rows = rows + self.cross(self.cross_norm(rows), context)
        moved: Tensor = rows + gate2 * self.mlp(plain_norm(rows) * (1 + scale2) + shift2)
        return moved


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Attention of (B, n, w) to (B, m, w), by heads; (B, n, w)."""
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)


def plain_norm(tokens: Tensor) -> Tensor:
    """Layer norm without weights."""
    return nn.functional.layer_norm(tokens, tokens.shape[-1:], eps=NORM_EPS)


def sinusoids(times: Tensor, width: int) -> Tensor:
    """[sin, cos] of time x exp(-ln(10000) i / (width / 2)): times of any shape (...) to (..., width)."""
    half = width // 2
    steps = torch.arange(half, device=times.device, dtype=torch.float32)
    angles = times[..., None].float() * torch.exp(-math.log(10000.0) * steps / half)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def causal(count: int) -> Tensor:
    """What is added to scores so that tokens see no later ones, (count, count)."""
    order = torch.arange(count)
    return torch.where(order[None, :] > order[:, None], -torch.inf, 0.0)
