"""Decoders that denoise: rows at times of their own to what the sampler needs of them."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from unichunk.runtime.train.heads.blocks import DiffusionLayer, causal, plain_norm, sinusoids, two_layers
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import HeadConfig


class Decoder(nn.Module):
    """What both kinds have in common.

    Every row has its own time: a locked row is clean and says so, whatever noise the others have. That is how
    Being-H0.5 locks a prefix, and these heads are trained that way (`unichunk.runtime.train.heads.losses`).

    Args:
        config: Sizes.
        conditions: Tokens that stand before the rows.
        context: Width of what the rows attend to beside each other; None for nothing.
    """

    def __init__(self, config: HeadConfig, conditions: int, context: int | None) -> None:
        super().__init__()
        self.config = config
        width = config.decoder.width
        self.embed = two_layers(UNIFIED_WIDTH * (1 + config.action_mask), width, width)
        self.positions = nn.Parameter(0.02 * torch.randn(conditions + config.rows, width))
        self.time = two_layers(width, width, width, nn.SiLU)
        self.layers = nn.ModuleList(DiffusionLayer(config.decoder, context) for _ in range(config.decoder.layers))
        self.modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, UNIFIED_WIDTH)

    def embedded(self, rows: Tensor, action_mask: Tensor) -> Tensor:
        """Rows (B, T, 200) as tokens (B, T, w); what is not the robot's own counts as zero where there is a mask."""
        if self.config.action_mask:
            mask = action_mask[:, None].expand_as(rows)
            rows = torch.cat([rows * mask, mask], dim=-1)
        tokens: Tensor = self.embed(rows)
        return tokens

    def timed(self, times: Tensor) -> Tensor:
        """Times of any shape (...) as conditions (..., w)."""
        condition: Tensor = self.time(sinusoids(times, self.config.decoder.width))
        return condition

    def decoded(self, tokens: Tensor, condition: Tensor, context: Tensor | None) -> Tensor:
        """Tokens (B, n, w) that have their positions and their conditions (B, n, w) to (B, T, 200)."""
        condition = nn.functional.silu(condition)
        mask = causal(tokens.shape[1]) if self.config.causal else None
        for layer in self.layers:
            tokens = layer(tokens, condition, mask, context)
        shift, scale = self.modulation(condition).chunk(2, dim=-1)
        result: Tensor = self.out(plain_norm(tokens) * (1 + scale) + shift)
        return result[:, -self.config.rows :]


class FlowDecoder(Decoder):
    """Velocity of rows that attend to the queries (VIPA-VLA, Being-H0's flow head)."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config, 0, config.context.width)

    def forward(self, rows: Tensor, buckets: Tensor, queried: Tensor, action_mask: Tensor) -> Tensor:
        """Velocity of noisy rows.

        Args:
            rows: Shape (B, T, 200).
            buckets: Time bucket of each row, shape (B, T), int64.
            queried: Shape (B, Q, h).
            action_mask: Shape (B, 200).

        Returns:
            Shape (B, T, 200).
        """
        tokens = self.embedded(rows, action_mask) + self.positions
        return self.decoded(tokens, self.timed(buckets), queried)


class DdimDecoder(Decoder):
    """Noise in rows that follow condition and state in a sequence (VITRA)."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config, 2, None)
        self.condition = nn.Linear(config.context.width, config.decoder.width)
        self.no_condition = nn.Parameter(0.02 * torch.randn(1, config.context.width))

    def forward(self, rows: Tensor, times: Tensor, now: Tensor, said: Tensor, state: Tensor, mask: Tensor) -> Tensor:
        """Noise in noisy rows.

        Args:
            rows: Shape (B, T, 200).
            times: Time of each row in the schedule, shape (B, T), int64; -1 for locked ones.
            now: Time of the rows that are not locked, shape (B,), int64.
            said: What the query found, or `no_condition`, shape (B, h).
            state: The state's token, shape (B, w).
            mask: The action mask, shape (B, 200).

        Returns:
            Shape (B, T, 200).
        """
        said = self.condition(said)[:, None]
        tokens = torch.cat([said, state[:, None], self.embedded(rows, mask)], dim=1) + self.positions
        times = torch.cat([now[:, None].expand(-1, 2), times], dim=1)
        return self.decoded(tokens, self.timed(times) + said, None)
