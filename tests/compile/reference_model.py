"""Being-H0.5 in plain numpy: the whole sequence in every Euler step, as the published code runs it.

Nothing here is shared with the compiler: no cache, no split of the sequence, one causal mask, the sort that MPG's
formula has. Slow, and as exact as its `dtype`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from unichunk.runtime.compile.config import BeingHConfig


@dataclass(frozen=True)
class Sequence:
    """Where each token of the sequence stands; the positions of all kinds together are 0..n-1."""

    token_ids: NDArray[np.int64]
    token_positions: NDArray[np.int64]
    image_positions: NDArray[np.int64]
    state_position: int
    action_positions: NDArray[np.int64]


@dataclass(frozen=True)
class Sampled:
    """Actions (T, 200), and for every refinement round and step the gate and the discrepancy, (N, K)."""

    actions: NDArray[Any]
    gates: NDArray[Any]
    discrepancies: NDArray[Any]


class ReferenceModel:
    """A checkpoint, computed token by token as written in the paper.

    Args:
        config: Sizes.
        tensor: Weight by name, any float type.
        dtype: Type of all arithmetic.
    """

    def __init__(self, config: BeingHConfig, tensor: Callable[[str], NDArray[Any]], dtype: DTypeLike) -> None:
        self.config, self.tensor, self.dtype = config, tensor, np.dtype(dtype)
        self.kept: dict[str, NDArray[Any]] = {}

    def weight(self, name: str) -> NDArray[Any]:
        if name not in self.kept:
            self.kept[name] = np.asarray(self.tensor(name)).astype(self.dtype)
        return self.kept[name]

    def linear(self, name: str, x: NDArray[Any], *, bias: bool = True) -> NDArray[Any]:
        y: NDArray[Any] = x @ self.weight(f"{name}.weight").T
        return y + self.weight(f"{name}.bias") if bias else y

    # Vision

    def image_features(self, images: NDArray[Any]) -> NDArray[Any]:
        """(V, 3, S, S) -> (V * tokens per view, h)."""
        views = [self.view_features(image.astype(self.dtype)) for image in images]
        return np.concatenate(views)

    def view_features(self, image: NDArray[Any]) -> NDArray[Any]:
        vision, grid = self.config.vision, self.config.grid
        patch = vision.patch
        kernel = self.weight("vit_model.embeddings.patch_embedding.weight").reshape(vision.width, -1)
        patches = [
            image[:, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch].reshape(-1)
            for r in range(grid)
            for c in range(grid)
        ]
        x = np.stack(patches) @ kernel.T + self.weight("vit_model.embeddings.patch_embedding.bias")
        x = np.concatenate([self.weight("vit_model.embeddings.class_embedding")[0], x])
        x = x + self.positions()
        for layer in range(vision.layers):
            x = self.vision_layer(f"vit_model.encoder.layers.{layer}", x)
        x = x[1:].reshape(1, grid, grid, vision.width)
        x = x.reshape(1, grid, grid // 2, 2 * vision.width).swapaxes(1, 2)
        x = x.reshape(1, grid // 2, grid // 2, 4 * vision.width).swapaxes(1, 2)
        x = x.reshape(-1, 4 * vision.width)
        x = layer_norm(x, 1e-5) * self.weight("connector.mlp1.0.weight") + self.weight("connector.mlp1.0.bias")
        return self.linear("connector.mlp1.3", gelu(self.linear("connector.mlp1.1", x)))

    def positions(self) -> NDArray[Any]:
        table = self.weight("vit_model.embeddings.position_embedding")[0]
        side, grid = self.config.vision.pretrained_grid, self.config.grid
        if side == grid:
            return table
        picture = table[1:].reshape(side, side, -1)
        return np.concatenate([table[:1], bicubic(picture, grid).reshape(grid * grid, -1)])

    def vision_norm(self, name: str, x: NDArray[Any]) -> NDArray[Any]:
        vision = self.config.vision
        if vision.norm == "rms_norm":
            return rms_norm(x, vision.norm_eps) * self.weight(f"{name}.weight")
        return layer_norm(x, vision.norm_eps) * self.weight(f"{name}.weight") + self.weight(f"{name}.bias")

    def vision_layer(self, name: str, x: NDArray[Any]) -> NDArray[Any]:
        vision = self.config.vision
        qkv = self.linear(f"{name}.attn.qkv", self.vision_norm(f"{name}.norm1", x), bias=vision.qkv_bias)
        q, k, v = np.split(qkv, 3, axis=1)
        if vision.qk_normalization:
            q = rms_norm(q, vision.norm_eps) * self.weight(f"{name}.attn.q_norm.weight")
            k = rms_norm(k, vision.norm_eps) * self.weight(f"{name}.attn.k_norm.weight")
        width = vision.width // vision.heads
        heads = []
        for head in range(vision.heads):
            at = slice(head * width, (head + 1) * width)
            heads.append(softmax(q[:, at] @ k[:, at].T / math.sqrt(width)) @ v[:, at])
        x = x + self.weight(f"{name}.ls1") * self.linear(f"{name}.attn.proj", np.concatenate(heads, axis=1))
        hidden = gelu(self.linear(f"{name}.mlp.fc1", self.vision_norm(f"{name}.norm2", x)))
        return x + self.weight(f"{name}.ls2") * self.linear(f"{name}.mlp.fc2", hidden)

    # Language model and expert, side by side

    def velocity(
        self, sequence: Sequence, text: NDArray[Any], features: NDArray[Any], state: NDArray[Any], action: NDArray[Any]
    ) -> NDArray[Any]:
        """Hidden states of the ACTION tokens -> velocity (T, 200); everything else is computed anew, too."""
        language = self.config.language
        understood = np.concatenate([sequence.token_positions, sequence.image_positions])
        acting = np.concatenate([[sequence.state_position], sequence.action_positions])
        count = len(understood) + len(acting)
        assert sorted([*understood, *acting]) == list(range(count))
        x = np.concatenate([text, features])
        y = np.concatenate([state, action])
        for layer in range(language.layers):
            x, y = self.decoder_layer(f"language_model.model.layers.{layer}", x, y, understood, acting)
        y = rms_norm(y, self.config.expert.norm_eps) * self.weight("language_model.model.norm_mot_gen.weight")
        hidden = np.maximum(self.linear("action_decoder.layer1", y[1:]), 0)
        return self.linear("action_decoder.layer2", hidden)

    def decoder_layer(
        self, name: str, x: NDArray[Any], y: NDArray[Any], understood: NDArray[Any], acting: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        language = self.config.language
        sides = (("", x, understood, language.norm_eps), ("_mot_gen", y, acting, self.config.expert.norm_eps))
        count = len(understood) + len(acting)
        q = np.zeros((language.heads, count, language.head_dim), self.dtype)
        k = np.zeros((language.kv_heads, count, language.head_dim), self.dtype)
        v = np.zeros_like(k)
        for suffix, rows, at, eps in sides:
            normed = rms_norm(rows, eps) * self.weight(f"{name}.input_layernorm{suffix}.weight")
            for target, letter in ((q, "q"), (k, "k"), (v, "v")):
                part = self.linear(f"{name}.self_attn.{letter}_proj{suffix}", normed, bias=False)
                part = part.reshape(len(rows), -1, language.head_dim)
                if letter != "v":
                    part = rms_norm(part, eps) * self.weight(f"{name}.self_attn.{letter}_norm{suffix}.weight")
                    part = rotate(part, at, language.rope_theta)
                target[:, at] = part.swapaxes(0, 1)
        mask = np.triu(np.full((count, count), -np.inf, self.dtype), 1)
        group = language.heads // language.kv_heads
        scores = q @ np.repeat(k, group, axis=0).swapaxes(1, 2) / math.sqrt(language.head_dim) + mask
        mixed = softmax(scores) @ np.repeat(v, group, axis=0)
        attended = mixed.swapaxes(0, 1).reshape(count, -1)
        results = []
        for suffix, rows, at, eps in sides:
            mid = rows + self.linear(f"{name}.self_attn.o_proj{suffix}", attended[at], bias=False)
            normed = rms_norm(mid, eps) * self.weight(f"{name}.post_attention_layernorm{suffix}.weight")
            gate = self.linear(f"{name}.mlp{suffix}.gate_proj", normed, bias=False)
            up = self.linear(f"{name}.mlp{suffix}.up_proj", normed, bias=False)
            results.append(mid + self.linear(f"{name}.mlp{suffix}.down_proj", swish(gate) * up, bias=False))
        return results[0], results[1]

    # Actions

    def embed_actions(self, actions: NDArray[Any], buckets: NDArray[np.int64]) -> NDArray[Any]:
        half = self.config.expert.width // 2
        # In float32 whatever the dtype: at bucket 1000 the rounding of the frequencies is part of the model.
        frequencies = np.exp(-np.arange(half, dtype=np.float32) * np.float32(np.log(np.float32(10000.0)) / half))
        angles = buckets[:, None].astype(np.float32) * frequencies
        time = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(self.dtype)
        a = self.linear("action_encoder.W1", actions)
        return self.linear("action_encoder.W3", swish(self.linear("action_encoder.W2", np.concatenate([a, time], 1))))

    def refine(
        self, embedded: NDArray[Any], anchor: NDArray[Any], directions: NDArray[Any]
    ) -> tuple[NDArray[Any], float, float]:
        """Action embeddings (T, e) -> enhanced ones, gate, discrepancy."""
        mpg = self.config.mpg
        assert mpg is not None
        f = self.linear("action_to_vlm_proj", embedded)
        f = np.concatenate([np.zeros_like(f[:1]), f])
        observed = self.linear("mpg.obs_proj", f)
        z = layer_norm(self.linear("mpg.action_proj", anchor), 1e-5).mean(0, keepdims=True)
        discrepancy = sliced_discrepancy(layer_norm(observed, 1e-5), np.repeat(z, len(f), 0), directions)
        gate = math.exp(-discrepancy / mpg.temperature)
        enhanced = f + mpg.strength * self.linear("mpg.enhancement_proj", gate * observed)
        return self.linear("vlm_to_action_proj", enhanced[1:]), gate, discrepancy

    def sample(
        self,
        sequence: Sequence,
        images: NDArray[Any],
        state: NDArray[Any],
        noise: NDArray[Any],
        previous_chunk: NDArray[Any] | None = None,
        delay: int = 0,
        directions: NDArray[Any] | None = None,
    ) -> Sampled:
        """`noise` (1 + rounds, T, 200) -> what the published sampler gives."""
        steps = self.config.denoising_steps
        text = self.weight("language_model.model.embed_tokens.weight")[sequence.token_ids]
        features = self.image_features(images)
        hidden = np.maximum(self.linear("proprio_encoder_robot.layer1", state.astype(self.dtype).reshape(1, -1)), 0)
        proprio = self.linear("proprio_encoder_robot.layer2", hidden)
        gates, discrepancies = [], []
        anchor = None
        actions = noise[0].astype(self.dtype)
        for start in noise:
            actions = start.astype(self.dtype)
            for step in range(steps):
                if delay:
                    assert previous_chunk is not None
                    actions[:delay] = previous_chunk[:delay]
                buckets = np.full(len(actions), int(step / steps * self.config.time_buckets))
                buckets[:delay] = self.config.time_buckets
                embedded = self.embed_actions(actions, buckets)
                if anchor is not None:
                    assert directions is not None
                    embedded, gate, discrepancy = self.refine(embedded, anchor, directions.astype(self.dtype))
                    gates.append(gate)
                    discrepancies.append(discrepancy)
                actions = actions + self.velocity(sequence, text, features, proprio, embedded) / steps
                if delay:
                    actions[:delay] = previous_chunk[:delay]
            anchor = self.embed_actions(actions, np.zeros(len(actions), np.int64))
        shape = (len(noise) - 1, steps)
        return Sampled(actions, np.reshape(gates, shape), np.reshape(discrepancies, shape))


def sliced_discrepancy(x: NDArray[Any], z: NDArray[Any], directions: NDArray[Any]) -> float:
    """Mean squared distance of the sorted projections of two sets of rows."""
    return float(np.mean((np.sort(x @ directions.T, axis=0) - np.sort(z @ directions.T, axis=0)) ** 2))


def layer_norm(x: NDArray[Any], eps: float) -> NDArray[Any]:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)


def rms_norm(x: NDArray[Any], eps: float) -> NDArray[Any]:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps)


def softmax(x: NDArray[Any]) -> NDArray[Any]:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def swish(x: NDArray[Any]) -> NDArray[Any]:
    return x / (1 + np.exp(-x))


def gelu(x: NDArray[Any]) -> NDArray[Any]:
    erf = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2)).astype(x.dtype)
    return x * (1 + erf) / 2


def rotate(x: NDArray[Any], positions: NDArray[Any], theta: float) -> NDArray[Any]:
    """(n, heads, width), half-rotation layout."""
    half = x.shape[-1] // 2
    # Angles in float32, as the published code keeps them.
    frequencies = (1.0 / theta ** (np.arange(half) / half)).astype(np.float32)
    angles = (positions[:, None].astype(np.float32) * frequencies).astype(x.dtype)[:, None]
    first, second = x[..., :half], x[..., half:]
    return np.concatenate(
        [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)], -1
    )


def bicubic(picture: NDArray[Any], side: int) -> NDArray[Any]:
    """(n, n, c) -> (side, side, c): cubic convolution with a = -0.75, pixel centres aligned, edges repeated."""
    old = len(picture)

    def kernel(x: float) -> float:
        x, a = abs(x), -0.75
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    weights = np.zeros((side, old), picture.dtype)
    for i in range(side):
        source = (i + 0.5) * old / side - 0.5
        for tap in range(math.floor(source) - 1, math.floor(source) + 3):
            weights[i, min(max(tap, 0), old - 1)] += kernel(source - tap)
    return np.einsum("ir,jc,rcd->ijd", weights, weights, picture)
