"""What context and heads are made of, as nodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.each_request import EachRequest
from unichunk.runtime.compile.heads.head_config import NORM_EPS

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.heads.head_config import Transformer
    from unichunk.runtime.compile.heads.head_weights import HeadWeights


class Blocks:
    """Builds the nodes of layers of one width, for sequences that attend to themselves, each to itself.

    Rows of all sequences lie one below the other, (N n, width), as those of requests do; guidance makes two sequences
    of a request.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        sizes: Width and heads.
        sequences: N.

    Attributes:
        each: Moves of data inside each of the sequences.
    """

    def __init__(self, graph: Graph, weights: HeadWeights, sizes: Transformer, sequences: int) -> None:
        self.graph = graph
        self.weights = weights
        self.each = EachRequest(graph, sequences)
        self._width, self._heads = sizes.width, sizes.heads
        self._head_width = sizes.width // sizes.heads

    def norm(self, name: str, x: str) -> str:
        """Layer norm with the weights of a name."""
        weight, bias = (self.weights.vector(f"{name}.{part}") for part in ("weight", "bias"))
        return self.graph.layer_norm(x, self.graph.weight(weight), self.graph.weight(bias), NORM_EPS)

    def plain_norm(self, x: str) -> str:
        """Layer norm without weights."""
        return self.graph.layer_norm(x, self.graph.floats(np.ones(self._width)), None, NORM_EPS)

    def linear(self, name: str, x: str) -> str:
        """One layer."""
        return self.graph.linear(x, *self.weights.linear(name))

    def two_layers(self, name: str, x: str) -> str:
        """Linear, GELU, Linear."""
        return self.linear(f"{name}.2", self.graph.gelu(self.linear(f"{name}.0", x)))

    def self_attention(self, name: str, x: str, count: int, mask: str | None) -> str:
        """Attention of tokens (N n, w) to those of their sequence.

        Args:
            name: Of the weights.
            x: Normed tokens.
            count: n.
            mask: Added to the scores (heads, n, n), or (N, heads, n, n); None for nothing.
        """
        parts = self.graph.split(self.linear(f"{name}.qkv", x), [self._width] * 3, axis=1)
        queries, keys, values = parts
        attended = self.attend(self.queries(queries, count), self.keys(keys, count), self.values(values, count), mask)
        return self.linear(f"{name}.proj", self.joined(attended, count))

    def queries(self, x: str, count: int) -> str:
        """Heads (heads, n, d) of projected tokens, scaled, as an operand."""
        scaled = self.graph.op("Mul", x, self.graph.floats(1.0 / math.sqrt(self._head_width)))
        return self.graph.narrow(self._by_head(scaled, count, 1, 0, 2))

    def keys(self, x: str, count: int) -> str:
        """Heads (heads, d, n) of projected tokens, as an operand."""
        return self.graph.narrow(self._by_head(x, count, 1, 2, 0))

    def values(self, x: str, count: int) -> str:
        """Heads (heads, n, d) of projected tokens, as an operand."""
        return self.graph.narrow(self._by_head(x, count, 1, 0, 2))

    def attend(self, queries: str, keys: str, values: str, mask: str | None) -> str:
        """Softmax attention by heads, (heads, n, d) float32."""
        graph = self.graph
        scores = graph.wide(graph.op("MatMul", queries, keys))
        shares = graph.op("Softmax", scores if mask is None else graph.op("Add", scores, mask), axis=-1)
        return graph.wide(graph.op("MatMul", graph.narrow(shares), values))

    def joined(self, x: str, count: int) -> str:
        """Heads (heads, n, d) as tokens (N n, w)."""
        return self.graph.reshape(self.each.transpose(x, 1, 0, 2), self.each.count * count, self._width)

    def _by_head(self, x: str, count: int, *axes: int) -> str:
        return self.each.transpose(self.each.reshape(x, count, self._heads, self._head_width), *axes)
