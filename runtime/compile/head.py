"""Keys and values of the tokens before the images: the same for every observation, so computed at compile time."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.positions import rotary_tables
from unichunk.runtime.compile.sequence import causal_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.weight_file import Weight


def head_keys_values(weights: CheckpointWeights, ids: Sequence[int]) -> list[tuple[Weight, Weight]]:
    """Runs the language model over the head once, in float32, a weight at a time.

    Args:
        weights: Of the checkpoint.
        ids: Token ids of the head, n.

    Returns:
        By layer: keys (kv heads, head_dim, n), values (kv heads, n, head_dim), in the graphs' precision.
    """
    embeddings = weights.tensor("language_model.model.embed_tokens.weight")
    x = embeddings[np.asarray(ids, np.int64)].astype(np.float32)
    del embeddings
    layers = weights.config.language.layers
    result = []
    for layer in range(layers):
        block = _HeadLayer(weights, f"language_model.model.layers.{layer}")
        normed = block.norm("input_layernorm", x)
        keys, values = block.keys_values(normed)
        result.append(
            (
                weights.computed(f"head.keys.{layer}", keys.swapaxes(1, 2).shape, partial(np.swapaxes, keys, 1, 2)),
                weights.computed(f"head.values.{layer}", values.shape, partial(np.asarray, values)),
            )
        )
        if layer < layers - 1:
            x = block.finished(x, block.attended(normed, keys, values))
    return result


class _HeadLayer:
    """One decoder layer in numpy, the language model's weights only."""

    def __init__(self, weights: CheckpointWeights, name: str) -> None:
        self.weights = weights
        self.name = name
        self.config = weights.config.language

    def product(self, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Product x W^T."""
        result: NDArray[np.float32] = x @ self.weights.tensor(f"{self.name}.{name}.weight").astype(np.float32).T
        return result

    def norm(self, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """RMS norm over the last axis."""
        mean = np.mean(x * x, axis=-1, keepdims=True) + np.float32(self.config.norm_eps)
        weight = self.weights.tensor(f"{self.name}.{name}.weight").astype(np.float32)
        result: NDArray[np.float32] = x / np.sqrt(mean) * weight
        return result

    def heads(self, letter: str, normed: NDArray[np.float32]) -> NDArray[np.float32]:
        """(heads, n, head_dim)."""
        x = self.product(f"self_attn.{letter}_proj", normed)
        return x.reshape(len(x), -1, self.config.head_dim).swapaxes(0, 1)

    def rotated(self, letter: str, normed: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heads, normed, at positions 0, 1, ..."""
        x = self.norm(f"self_attn.{letter}_norm", self.heads(letter, normed))
        cos, sin = rotary_tables(np.arange(x.shape[1]), self.config.head_dim, self.config.rope_theta)
        half = self.config.head_dim // 2
        swapped = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
        return np.asarray(x * cos + swapped * sin, np.float32)

    def keys_values(self, normed: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Each (kv heads, n, head_dim)."""
        return self.rotated("k", normed), self.heads("v", normed)

    def attended(
        self, normed: NDArray[np.float32], keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n, heads * head_dim)."""
        count, config = len(normed), self.config
        queries = self.rotated("q", normed).reshape(config.kv_heads, -1, count, config.head_dim)
        mask = causal_mask(np.arange(count), np.arange(count))
        scores = queries @ keys[:, None].swapaxes(2, 3) / np.float32(math.sqrt(config.head_dim)) + mask
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = shares / shares.sum(-1, keepdims=True) @ values[:, None]
        return np.asarray(mixed.reshape(config.heads, count, -1).swapaxes(0, 1).reshape(count, -1))

    def finished(self, x: NDArray[np.float32], attended: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output projection and feed-forward block."""
        x = x + self.product("self_attn.o_proj", attended)
        normed = self.norm("post_attention_layernorm", x)
        gate = self.product("mlp.gate_proj", normed)
        # 1 + exp may be infinite; the quotient is 0 then, as it should be.
        with np.errstate(over="ignore"):
            hidden = gate / (1 + np.exp(-gate)) * self.product("mlp.up_proj", normed)
        return x + self.product("mlp.down_proj", hidden)
