"""A decoder that reads each row off its own queries."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from unichunk.runtime.compile.heads.head_config import NORM_EPS
from unichunk.runtime.train.heads.blocks import two_layers
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import HeadConfig, Transformer


class Residual(nn.Module):
    """A norm and two layers, added to what goes in."""

    def __init__(self, sizes: Transformer) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.width, eps=NORM_EPS)
        self.mlp = two_layers(sizes.width, sizes.mlp, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape (..., w) to the same."""
        result: Tensor = tokens + self.mlp(self.norm(tokens))
        return result


class RegressionDecoder(nn.Module):
    """Queries of a row, joined, through residual layers (Being-H0, METIS, OpenVLA-OFT)."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        joined, width = config.queries // config.rows * config.context.width, config.decoder.width
        self.rows = config.rows
        self.norm = nn.LayerNorm(joined, eps=NORM_EPS)
        self.embed = nn.Linear(joined, width)
        self.layers = nn.ModuleList(Residual(config.decoder) for _ in range(config.decoder.layers))
        self.out_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.out = nn.Linear(width, UNIFIED_WIDTH)

    def forward(self, queried: Tensor) -> Tensor:
        """Queries (B, Q, h) to rows (B, T, 200)."""
        tokens = nn.functional.gelu(self.embed(self.norm(queried.unflatten(1, (self.rows, -1)).flatten(2))))
        for layer in self.layers:
            tokens = layer(tokens)
        rows: Tensor = self.out(self.out_norm(tokens))
        return rows
