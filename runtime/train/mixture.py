"""Qwen3 layers with two sets of weights, one for language and one for the action expert, and shared attention."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unichunk.runtime.train.routing import Experts

if TYPE_CHECKING:
    from unichunk.runtime.compile.config import BeingHConfig
    from unichunk.runtime.train.routing import Choice


class Cache(NamedTuple):
    """What one layer keeps of everything before the actions: keys and values, each (B, kv heads, P, head_dim)."""

    keys: Tensor
    values: Tensor


class RMSNorm(nn.RMSNorm):
    """The norm in the type of its input: float32 weights would send it through a slow path under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """Shape (..., width) to the same."""
        assert self.weight is not None
        return functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class SwiGlu(nn.Module):
    """The gated MLP."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inside, bias=False)
        self.up_proj = nn.Linear(width, inside, bias=False)
        self.down_proj = nn.Linear(inside, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Shape (..., width) to the same."""
        mixed: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return mixed


class Attention(nn.Module):
    """Projections of both kinds of tokens; names without a suffix are the language model's."""

    def __init__(self, config: BeingHConfig) -> None:
        super().__init__()
        language = config.language
        self.heads, self.kv_heads, self.head_dim = language.heads, language.kv_heads, language.head_dim
        for suffix, width in (("", language.width), ("_mot_gen", config.expert.width)):
            for name, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)):
                self.add_module(f"{name}_proj{suffix}", nn.Linear(width, heads * self.head_dim, bias=False))
            self.add_module(f"o_proj{suffix}", nn.Linear(self.heads * self.head_dim, width, bias=False))
            eps = language.norm_eps if not suffix else config.expert.norm_eps
            self.add_module(f"q_norm{suffix}", RMSNorm(self.head_dim, eps=eps))
            self.add_module(f"k_norm{suffix}", RMSNorm(self.head_dim, eps=eps))

    def project(self, hidden: Tensor, suffix: str, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, heads, n, head_dim), keys and values (B, kv heads, n, head_dim) of tokens (B, n, width).

        Args:
            hidden: Tokens of one kind.
            suffix: "" for language, "_mot_gen" for the expert.
            angles: Rotary angles of their positions, shape (B or 1, n, head_dim / 2).
        """
        query, key, value = (
            getattr(self, f"{name}_proj{suffix}")(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for name in ("q", "k", "v")
        )
        query = rotate(getattr(self, f"q_norm{suffix}")(query), angles)
        key = rotate(getattr(self, f"k_norm{suffix}")(key), angles)
        return query, key, value


class Layer(nn.Module):
    """One layer of both models.

    Args:
        config: Sizes.
        number: Which layer: the upper ones of a mixture of flow have parallel experts.
    """

    def __init__(self, config: BeingHConfig, number: int) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        language, expert = config.language, config.expert
        self.input_layernorm = RMSNorm(language.width, eps=language.norm_eps)
        self.input_layernorm_mot_gen = RMSNorm(expert.width, eps=expert.norm_eps)
        self.post_attention_layernorm = RMSNorm(language.width, eps=language.norm_eps)
        self.post_attention_layernorm_mot_gen = RMSNorm(expert.width, eps=expert.norm_eps)
        self.mlp = SwiGlu(language.width, language.mlp)
        self.mlp_mot_gen: SwiGlu | Experts = SwiGlu(expert.width, expert.mlp)
        if config.mixture is not None and number >= config.mixture.shared_layers:
            blocks = [SwiGlu(expert.width, config.mixture.mlp) for _ in range(config.mixture.experts)]
            self.mlp_mot_gen = Experts(blocks)

    def prefix(
        self, words: Tensor, state: Tensor, angles: Tensor, mask: Tensor, choice: Choice | None = None
    ) -> tuple[Tensor, Tensor, Cache]:
        """Everything before the actions.

        Args:
            words: Text and image tokens, shape (B, n, h).
            state: The state token, shape (B, 1, e); its place is told by angles and mask.
            angles: Rotary angles of words, then state, shape (1, n + 1, head_dim / 2).
            mask: What is added to the scores, shape (n + 1, n + 1).
            choice: Of a mixture's experts.

        Returns:
            Words and state after the layer, and the layer's keys and values.
        """
        count = words.shape[1]
        ours = self.self_attn.project(self.input_layernorm(words), "", angles[:, :count])
        theirs = self.self_attn.project(self.input_layernorm_mot_gen(state), "_mot_gen", angles[:, count:])
        query, key, value = (torch.cat(pair, dim=2) for pair in zip(ours, theirs, strict=True))
        attended = attend(query, Cache(key, value), mask).transpose(1, 2).flatten(2)
        words = words + self.self_attn.o_proj(attended[:, :count])
        words = words + self.mlp(self.post_attention_layernorm(words))
        return words, self._expert(state, attended[:, count:], choice), Cache(key, value)

    def actions(
        self,
        actions: Tensor,
        cache: Cache,
        angles: Tensor,
        known: Tensor,
        causal: Tensor,
        choice: Choice | None = None,
    ) -> Tensor:
        """The action tokens, R chunks for each observation.

        Args:
            actions: Shape (B R, T, e).
            cache: The layer's keys and values of B observations.
            angles: Rotary angles of the action positions, shape (B R, T, head_dim / 2).
            known: What is added to the scores of the prefix tokens, shape (B, 1, 1, P).
            causal: What is added to the scores of the rows of the same chunk, shape (T, T).
            choice: Of a mixture's experts.

        Returns:
            The tokens after the layer, shape (B R, T, e).
        """
        query, key, value = self.self_attn.project(self.input_layernorm_mot_gen(actions), "_mot_gen", angles)
        attended = attend_both(query, cache, Cache(key, value), known, causal)
        return self._expert(actions, attended.transpose(1, 2).flatten(2), choice)

    def _expert(self, tokens: Tensor, attended: Tensor, choice: Choice | None) -> Tensor:
        tokens = tokens + self.self_attn.o_proj_mot_gen(attended)
        normed = self.post_attention_layernorm_mot_gen(tokens)
        if isinstance(self.mlp_mot_gen, Experts):
            assert choice is not None
            return tokens + self.mlp_mot_gen(normed, choice)
        mixed: Tensor = tokens + self.mlp_mot_gen(normed)
        return mixed


def attend(query: Tensor, cache: Cache, mask: Tensor) -> Tensor:
    """Attention; written out, since the fused kernels are slow for heads this small on CPUs.

    Args:
        query: Shape (B, heads, n, head_dim).
        cache: Keys and values of P tokens; a group of neighbouring heads shares them.
        mask: What is added to the scores, shape (n, P).

    Returns:
        Shape (B, heads, n, head_dim).
    """
    grouped = (query * query.shape[-1] ** -0.5).unflatten(1, (cache.keys.shape[1], -1))
    scores = (grouped.flatten(2, 3) @ cache.keys.mT).unflatten(2, grouped.shape[2:4]) + mask
    attended = scores.softmax(dim=-1).flatten(2, 3).to(query.dtype) @ cache.values
    return attended.unflatten(2, grouped.shape[2:4]).flatten(1, 2)


def attend_both(query: Tensor, prefix: Cache, own: Cache, known: Tensor, causal: Tensor) -> Tensor:
    """Attention of R chunks for each observation to the observation's prefix, which they share, and to themselves.

    Args:
        query: Shape (B R, heads, T, head_dim).
        prefix: Keys and values of B observations.
        own: Keys and values of the chunks, each (B R, kv heads, T, head_dim).
        known: What is added to the scores of the prefix tokens, shape (B, 1, 1, P).
        causal: What is added to the scores of the chunk's own rows, shape (T, T).

    Returns:
        Shape (B R, heads, T, head_dim).
    """
    batch, shared = prefix.keys.shape[:2]
    # (B, kv heads, R, heads in a group, T, head_dim)
    grouped = (query * query.shape[-1] ** -0.5).unflatten(1, (shared, -1)).unflatten(0, (batch, -1)).transpose(1, 2)
    keys, values = (part.unflatten(0, (batch, -1)).transpose(1, 2) for part in own)
    inside = grouped.shape[2:5]
    seen = (grouped.flatten(2, 4) @ prefix.keys.mT + known).unflatten(2, inside)
    written = (grouped.flatten(3, 4) @ keys.mT).unflatten(3, inside[1:]) + causal
    weights = torch.cat([seen, written], dim=-1).softmax(dim=-1).to(query.dtype)
    before, after = weights.split([seen.shape[-1], written.shape[-1]], dim=-1)
    attended = (before.flatten(2, 4) @ prefix.values).unflatten(2, inside)
    attended = attended + (after.flatten(3, 4) @ values).unflatten(3, inside[1:])
    return attended.transpose(1, 2).flatten(0, 1).flatten(1, 2)


def rotary_angles(positions: Tensor, head_dim: int, theta: float) -> Tensor:
    """Angles of positions of any shape, shape (..., head_dim / 2), [rad]."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim)
    return positions[..., None].float() * frequencies


def rotate(heads: Tensor, angles: Tensor) -> Tensor:
    """Rotary embedding in the half-rotation layout: heads (B, heads, n, head_dim) by angles (B, n, head_dim / 2)."""
    first, second = heads.chunk(2, dim=-1)
    cos, sin = angles.cos()[:, None].to(heads.dtype), angles.sin()[:, None].to(heads.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def hidden(which: Tensor) -> Tensor:
    """What is added to scores: minus infinity for tokens that must not be seen, of the shape of `which` (bool)."""
    return torch.where(which, -torch.inf, 0.0)
