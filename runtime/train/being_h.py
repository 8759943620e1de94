"""Being-H0.5 in PyTorch: what the published checkpoints are the weights of, small enough to be trained on a CPU."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from unichunk.runtime.train.gating import Gating
from unichunk.runtime.train.mixture import Cache, Layer, RMSNorm, hidden, rotary_angles
from unichunk.runtime.train.vision import Connector, Vision
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.compile.config import BeingHConfig


@dataclass(frozen=True)
class ConstantTokens:
    """Token ids that every sequence has, in order: before the images, before the state, after the state."""

    head: tuple[int, ...]
    between: tuple[int, ...]
    after_state: tuple[int, ...]


class Prefix(NamedTuple):
    """What the actions need of an observation.

    Attributes:
        caches: Keys and values of each layer.
        seen: Image tokens before the language model, shape (B, V n_tok, h).
        padded: Which prefix tokens are padding, shape (B, P), bool.
        length: Number of the others, the first action's position, shape (B,).
    """

    caches: list[Cache]
    seen: Tensor
    padded: Tensor
    length: Tensor


class TwoLayers(nn.Module):
    """Linear, ReLU, Linear."""

    def __init__(self, inside: int, hidden: int, outside: int) -> None:
        super().__init__()
        self.layer1 = nn.Linear(inside, hidden)
        self.layer2 = nn.Linear(hidden, outside)

    def forward(self, values: Tensor) -> Tensor:
        """Shape (..., inside) to (..., outside)."""
        result: Tensor = self.layer2(torch.relu(self.layer1(values)))
        return result


class ActionEncoder(nn.Module):
    """Unified rows and their time buckets to action tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W1 = nn.Linear(UNIFIED_WIDTH, width)
        self.W2 = nn.Linear(2 * width, width)
        self.W3 = nn.Linear(width, width)
        self.width = width

    def forward(self, rows: Tensor, buckets: Tensor) -> Tensor:
        """Rows (..., T, 200) and buckets (..., T) to (..., T, e)."""
        half = self.width // 2
        steps = torch.arange(half, device=rows.device, dtype=torch.float32)
        angle = buckets[..., None].float() * torch.exp(-math.log(10000.0) * steps / half)
        embedded = self.W1(rows)
        time = torch.cat([angle.sin(), angle.cos()], dim=-1).to(embedded.dtype)
        mixed = self.W2(torch.cat([embedded, time.expand_as(embedded)], dim=-1))
        token: Tensor = self.W3(nn.functional.silu(mixed))
        return token


class BeingH(nn.Module):
    """The policy network.

    Args:
        config: Sizes.
        tokens: The constant parts of the token sequence.
    """

    def __init__(self, config: BeingHConfig, tokens: ConstantTokens) -> None:
        super().__init__()
        self.config, self.tokens = config, tokens
        language, expert = config.language.width, config.expert.width
        self.vit_model = Vision(config.vision)
        self.connector = Connector(config)
        model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(config.language.vocabulary, language),
                "layers": nn.ModuleList(Layer(config) for _ in range(config.language.layers)),
                "norm": RMSNorm(language, eps=config.language.norm_eps),
                "norm_mot_gen": RMSNorm(expert, eps=config.expert.norm_eps),
            }
        )
        self.language_model = nn.ModuleDict({"model": model})
        self.proprio_encoder_robot = TwoLayers(UNIFIED_WIDTH, expert, expert)
        self.action_encoder = ActionEncoder(expert)
        self.action_decoder = TwoLayers(expert, expert, UNIFIED_WIDTH)
        if config.mpg is not None:
            self.action_to_vlm_proj = nn.Linear(expert, language)
            self.vlm_to_action_proj = nn.Linear(language, expert)
            self.mpg = Gating(config.mpg, language, expert)

    @property
    def _model(self) -> Any:
        return self.language_model["model"]

    def prefix(self, images: Tensor, text: Tensor, state: Tensor) -> Prefix:
        """Encode observations.

        Args:
            images: Shape (B, V, 3, S, S), normalized.
            text: Token ids after the state, shape (B, L), int64, padded at the end with -1.
            state: Unified, normalized, shape (B, 200).
        """
        views = images.shape[1]
        seen = self.connector(self.vit_model(images.flatten(0, 1))).unflatten(0, (-1, views)).flatten(1, 2)
        head, between, after = (
            self._embed(ids, len(images)) for ids in (self.tokens.head, self.tokens.between, self.tokens.after_state)
        )
        written = self._model["embed_tokens"](text.clamp(min=0))
        words = torch.cat([head, seen, between, after, written], dim=1)
        expert = self.proprio_encoder_robot(state)[:, None]
        place = head.shape[1] + seen.shape[1] + between.shape[1]
        count = words.shape[1]
        order = torch.arange(count, device=images.device)
        positions = torch.cat([order + (order >= place), order.new_tensor([place])])
        mask = hidden(positions[:, None] < positions[None, :])
        angles = self._angles(positions)[None]
        caches = []
        for layer in self._model["layers"]:
            words, expert, cache = layer.prefix(words, expert, angles, mask)
            caches.append(cache)
        padded = torch.zeros(len(images), count + 1, dtype=torch.bool, device=images.device)
        padded[:, count - text.shape[1] : count] = text < 0
        return Prefix(caches, seen, padded, (~padded).sum(dim=1))

    def velocity(
        self,
        rows: Tensor,
        buckets: Tensor,
        prefix: Prefix,
        anchor: tuple[Tensor, Tensor] | None = None,
        gated: Tensor | None = None,
    ) -> Tensor:
        """Velocity of R noisy chunks for each observation.

        Args:
            rows: Shape (B R, T, 200).
            buckets: Time bucket of each row, shape (B R, T), int64.
            prefix: Of B observations.
            anchor: Rows to agree with, shape (B R, T, 200), and directions, shape (M, h): a refinement round.
            gated: Which chunks are refined, shape (B R,), bool; all where not given.

        Returns:
            Shape (B R, T, 200).
        """
        tokens = self.action_encoder(rows, buckets)
        if anchor is not None:
            refined = self._refine(tokens, *anchor)
            tokens = refined if gated is None else torch.where(gated[:, None, None], refined, tokens)
        count, repeats = rows.shape[1], len(rows) // len(prefix.length)
        order = torch.arange(count, device=rows.device)
        first = prefix.length.repeat_interleave(repeats)
        angles = self._angles(first[:, None] + order)
        causal = hidden(order[:, None] < order[None, :])
        known = hidden(prefix.padded)[:, None, None]
        for layer, cache in zip(self._model["layers"], prefix.caches, strict=True):
            tokens = layer.actions(tokens, cache, angles, known, causal)
        velocity: Tensor = self.action_decoder(self._model["norm_mot_gen"](tokens))
        return velocity

    def sample(
        self, prefix: Prefix, noise: Tensor, previous: Tensor, delay: int, steps: int, directions: Tensor | None = None
    ) -> Tensor:
        """Chunks for B observations: K Euler steps, the prefix locked, in 1 + N rounds.

        Args:
            prefix: Of B observations.
            noise: Shape (B, rounds, T, 200).
            previous: Rows to lock, shape (B, T, 200).
            delay: How many.
            steps: K.
            directions: For rounds after the first, shape (M, h).
        """
        locked = (torch.arange(noise.shape[2], device=noise.device) < delay)[:, None]
        anchor = None
        for start in noise.unbind(dim=1):
            rows = torch.where(locked, previous, start)
            for step in range(steps):
                bucket = int(step / steps * self.config.time_buckets)
                buckets = torch.where(locked[:, 0], self.config.time_buckets, bucket).expand(len(rows), -1)
                rows = torch.where(locked, previous, rows + self.velocity(rows, buckets, prefix, anchor) / steps)
            if directions is not None:
                anchor = (rows, directions)
        return rows

    def _refine(self, tokens: Tensor, anchor: Tensor, directions: Tensor) -> Tensor:
        goal = self.action_encoder(anchor, anchor.new_zeros(anchor.shape[:2], dtype=torch.int64))
        features = nn.functional.pad(self.action_to_vlm_proj(tokens), (0, 0, 1, 0))
        refined: Tensor = self.vlm_to_action_proj(self.mpg(features, goal, directions)[:, 1:])
        return refined

    def _embed(self, ids: Sequence[int], batch: int) -> Tensor:
        table = self._model["embed_tokens"]
        embedded: Tensor = table(torch.tensor(ids, device=table.weight.device)).expand(batch, -1, -1)
        return embedded

    def _angles(self, positions: Tensor) -> Tensor:
        language = self.config.language
        return rotary_angles(positions, language.head_dim, language.rope_theta)
