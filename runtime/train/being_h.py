"""Being-H0.5 in PyTorch: what the published checkpoints are the weights of, small enough to be trained on a CPU."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from unichunk.runtime.train.adapters import Adapters, OwnSlots
from unichunk.runtime.train.gating import Gating
from unichunk.runtime.train.mixture import Cache, Layer, RMSNorm, hidden, rotary_angles
from unichunk.runtime.train.routing import Choice, Router
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
        words: The language model's hidden states behind its last layer, shape (B, P - 1, h): all tokens but the
            state's, in order.
        choice: Of a mixture's experts.
        own: The robots' own slots of actions, where there are adapters.
    """

    caches: list[Cache]
    seen: Tensor
    padded: Tensor
    length: Tensor
    words: Tensor
    choice: Choice | None = None
    own: OwnSlots | None = None


class SlotMasks(NamedTuple):
    """Which slots of the unified space are the robots' own, each shape (B, 200), bool."""

    state: Tensor
    action: Tensor


class TwoLayers(nn.Module):
    """Linear, ReLU, Linear."""

    def __init__(self, inside: int, hidden: int, outside: int) -> None:
        super().__init__()
        self.layer1 = nn.Linear(inside, hidden)
        self.layer2 = nn.Linear(hidden, outside)

    def forward(self, values: Tensor, added: Tensor | None = None) -> Tensor:
        """Shape (..., inside) to (..., outside); `added` to the first layer's outputs."""
        result: Tensor = self.layer2(self.hidden(values, added))
        return result

    def hidden(self, values: Tensor, added: Tensor | None = None) -> Tensor:
        """Shape (..., inside) to (..., hidden)."""
        first = self.layer1(values)
        return torch.relu(first if added is None else first + added)


class ActionEncoder(nn.Module):
    """Unified rows and their time buckets to action tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W1 = nn.Linear(UNIFIED_WIDTH, width)
        self.W2 = nn.Linear(2 * width, width)
        self.W3 = nn.Linear(width, width)
        self.width = width

    def forward(self, rows: Tensor, buckets: Tensor, added: Tensor | None = None) -> Tensor:
        """Rows (..., T, 200) and buckets (..., T) to (..., T, e); `added` to the first layer's outputs."""
        half = self.width // 2
        steps = torch.arange(half, device=rows.device, dtype=torch.float32)
        angle = buckets[..., None].float() * torch.exp(-math.log(10000.0) * steps / half)
        embedded = self.W1(rows) if added is None else self.W1(rows) + added
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
                "layers": nn.ModuleList(Layer(config, number) for number in range(config.language.layers)),
                "norm": RMSNorm(language, eps=config.language.norm_eps),
                "norm_mot_gen": RMSNorm(expert, eps=config.expert.norm_eps),
            }
        )
        self.language_model = nn.ModuleDict({"model": model})
        if config.thought_tokens:
            self.language_model["lm_head"] = nn.Linear(language, config.language.vocabulary, bias=False)
        self.proprio_encoder_robot = TwoLayers(UNIFIED_WIDTH, expert, expert)
        self.action_encoder = ActionEncoder(expert)
        self.action_decoder = TwoLayers(expert, expert, UNIFIED_WIDTH)
        if config.mpg is not None:
            self.action_to_vlm_proj = nn.Linear(expert, language)
            self.vlm_to_action_proj = nn.Linear(language, expert)
            self.mpg = Gating(config.mpg, language, expert)
        if config.adapter_rank:
            self.adapters = Adapters(expert, config.adapter_rank)
        if config.mixture is not None:
            self.router = Router(config.mixture, language)

    @property
    def _model(self) -> Any:
        return self.language_model["model"]

    def prefix(self, images: Tensor, text: Tensor, state: Tensor, masks: SlotMasks | None = None) -> Prefix:
        """Encode observations.

        Args:
            images: Shape (B, V, 3, S, S), normalized.
            text: Token ids after the state, shape (B, L), int64, padded at the end with -1.
            state: Unified, normalized, shape (B, 200).
            masks: The robots' own slots; needed where there are adapters.
        """
        views = images.shape[1]
        seen = self.connector(self.vit_model(images.flatten(0, 1))).unflatten(0, (-1, views)).flatten(1, 2)
        head, between, after = (
            self._embed(ids, len(images)) for ids in (self.tokens.head, self.tokens.between, self.tokens.after_state)
        )
        written = self._model["embed_tokens"](text.clamp(min=0))
        words = torch.cat([head, seen, between, after, written], dim=1)
        expert = self._state(state, masks)[:, None]
        choice = self.router(state, written, text) if self.config.mixture is not None else None
        place = head.shape[1] + seen.shape[1] + between.shape[1]
        count = words.shape[1]
        order = torch.arange(count, device=images.device)
        positions = torch.cat([order + (order >= place), order.new_tensor([place])])
        mask = hidden(positions[:, None] < positions[None, :])
        angles = self._angles(positions)[None]
        caches = []
        for layer in self._model["layers"]:
            words, expert, cache = layer.prefix(words, expert, angles, mask, choice)
            caches.append(cache)
        padded = torch.zeros(len(images), count + 1, dtype=torch.bool, device=images.device)
        padded[:, count - text.shape[1] : count] = text < 0
        own = OwnSlots.of(masks.action) if masks is not None and self.config.adapter_rank else None
        return Prefix(caches, seen, padded, (~padded).sum(dim=1), words, choice, own)

    def scores(self, prefix: Prefix, count: int) -> Tensor:
        """What the language model would write behind each of the last tokens, of a policy that thinks.

        Args:
            prefix: Of B observations.
            count: n, how many tokens.

        Returns:
            Shape (B, n, vocabulary).
        """
        scores: Tensor = self.language_model["lm_head"](self._model["norm"](prefix.words[:, -count:]))
        return scores

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
        count, repeats = rows.shape[1], len(rows) // len(prefix.length)
        own = None if prefix.own is None else prefix.own.repeated(repeats)
        tokens = self._encoded(rows, buckets, own)
        if anchor is not None:
            goal, directions = anchor
            encoded = self._encoded(goal, torch.zeros_like(buckets), own)
            refined = self._refine(tokens, encoded, directions)
            tokens = refined if gated is None else torch.where(gated[:, None, None], refined, tokens)
        order = torch.arange(count, device=rows.device)
        first = prefix.length.repeat_interleave(repeats)
        angles = self._angles(first[:, None] + order)
        causal = hidden(order[:, None] < order[None, :])
        known = hidden(prefix.padded)[:, None, None]
        for layer, cache in zip(self._model["layers"], prefix.caches, strict=True):
            tokens = layer.actions(tokens, cache, angles, known, causal, prefix.choice)
        features = self.action_decoder.hidden(self._model["norm_mot_gen"](tokens))
        velocity: Tensor = self.action_decoder.layer2(features)
        return velocity if own is None else velocity + self.adapters.action_decoder(features, own)

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

    def _state(self, state: Tensor, masks: SlotMasks | None) -> Tensor:
        """The STATE token, shape (B, e)."""
        added = None
        if self.config.adapter_rank:
            assert masks is not None, "a policy with adapters needs to know whose slots are in use"
            added = self.adapters.state_encoder(state[:, None], OwnSlots.of(masks.state))[:, 0]
        token: Tensor = self.proprio_encoder_robot(state, added)
        return token

    def _encoded(self, rows: Tensor, buckets: Tensor, own: OwnSlots | None) -> Tensor:
        """Action tokens of rows (B, T, 200) at times (B, T), shape (B, T, e)."""
        added = None if own is None else self.adapters.action_encoder(rows, own)
        token: Tensor = self.action_encoder(rows, buckets, added)
        return token

    def _refine(self, tokens: Tensor, goal: Tensor, directions: Tensor) -> Tensor:
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
