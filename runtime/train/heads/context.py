"""Reads an observation and gives what the action queries make of it."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from unichunk.runtime.compile.heads.head_config import NORM_EPS
from unichunk.runtime.compile.vision import CONNECTOR_EPS
from unichunk.runtime.train.heads.blocks import ContextLayer, two_layers
from unichunk.runtime.train.vision import Vision, space_to_depth
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import HeadConfig


class Observed(NamedTuple):
    """B observations as the graphs get them.

    Attributes:
        images: Shape (B, V, 3, S, S), normalized.
        text: Token ids, shape (B, L), padded at the end with -1.
        state: Unified, normalized, shape (B, 200).
        state_mask, action_mask: 1 in the robot's own slots, shape (B, 200).
        fields_of_view: Shape (B, V, 2), [rad].
    """

    images: Tensor
    text: Tensor
    state: Tensor
    state_mask: Tensor
    action_mask: Tensor
    fields_of_view: Tensor


class Connector(nn.Module):
    """Four neighbouring patches become one token of the context."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        inside, outside = 4 * config.vit.width, config.context.width
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(inside, eps=CONNECTOR_EPS),
            nn.Linear(inside, outside),
            nn.GELU(),
            nn.Linear(outside, outside),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Patch features (B, g g, v) to tokens (B, g g / 4, h)."""
        tokens: Tensor = self.mlp1(space_to_depth(patches))
        return tokens


class StateEncoder(nn.Sequential):
    """The unified state as a token, with the mask of what the robot has of it where the policy takes that."""

    def __init__(self, config: HeadConfig, width: int) -> None:
        super().__init__(*two_layers(UNIFIED_WIDTH * (1 + config.state_validity), width, width))
        self.validity = config.state_validity

    def forward(self, observed: Observed) -> Tensor:
        """Shape (B, width)."""
        state = observed.state
        if self.validity:
            state = torch.cat([state * observed.state_mask, observed.state_mask], dim=-1)
        token: Tensor = super().forward(state)
        return token


class Context(nn.Module):
    """Images, state, fields of view, text and queries in one sequence; all attend to all but padding.

    The base of `HeadPolicy`, so that names of parameters have no prefix.

    Args:
        config: Sizes.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        width = config.context.width
        self.vit_model = Vision(config.vision)
        self.connector = Connector(config)
        self.embed_tokens = nn.Embedding(config.vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(config.tokens, width))
        self.queries = nn.Parameter(torch.randn(config.queries, width))
        self.state_encoder = StateEncoder(config, width if config.state_in_context else config.decoder.width)
        if config.fields_of_view:
            self.field_of_view_encoder = two_layers(2, width, width)
        self.context = nn.ModuleList(ContextLayer(config.context) for _ in range(config.context.layers))
        self.context_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def queried(self, observed: Observed) -> Tensor:
        """What the queries found, shape (B, Q, h)."""
        config = self.config
        batch, views = observed.images.shape[:2]
        seen = self.connector(self.vit_model(observed.images.flatten(0, 1))).unflatten(0, (-1, views)).flatten(1, 2)
        parts = [seen]
        if config.state_in_context:
            parts.append(self.state_encoder(observed)[:, None])
        if config.fields_of_view:
            parts.append(self.field_of_view_encoder(observed.fields_of_view))
        before = sum(part.shape[1] for part in parts)
        parts += [self.embed_tokens(observed.text.clamp(min=0)), self.queries.expand(batch, -1, -1)]
        tokens = torch.cat(parts, dim=1) + self.positions
        padded = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        padded[:, before : before + config.max_text] = observed.text < 0
        mask = torch.where(padded, -torch.inf, 0.0)[:, None, None]
        for layer in self.context:
            tokens = layer(tokens, mask)
        found: Tensor = self.context_norm(tokens[:, -config.queries :])
        return found
