"""Decoders that denoise, as nodes: rows at times of their own to what the sampler needs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.heads.blocks import Blocks
from unichunk.runtime.compile.heads.head_config import FlowHead
from unichunk.runtime.compile.positions import time_sinusoids
from unichunk.runtime.compile.sequence import causal_mask
from unichunk.runtime.policy.optional_inputs import ACTION_MASK
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.heads.head_weights import HeadWeights


class Denoiser:
    """Builds the decoder's layers, for N sequences of n tokens, the last T of which are rows.

    A row's condition is its time's, and so are its shifts, scales and gates; there are but two times at once, that of
    the locked rows and that of all others, so both are computed once and each row takes its own.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        sequences: N.
        locked: Which tokens are locked, (n, 1) bool, with the axis of sequences in front where there are several.
        count: n.
    """

    def __init__(self, graph: Graph, weights: HeadWeights, sequences: int, locked: str, count: int) -> None:
        self.graph = graph
        self.config = weights.config
        self.blocks = Blocks(graph, weights, weights.config.decoder, sequences)
        self.each = self.blocks.each
        self._weights = weights
        self._locked = locked
        self._count = count
        self._causal: str | None = None
        if self.config.causal:
            self._causal = graph.floats(causal_mask(np.arange(count), np.arange(count)))
        self._attended: list[tuple[str, str]] = []

    def attend_to(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """What the rows attend to beside each other, by layer."""
        self._attended = list(zip(keys, values, strict=True))

    def decoded(self, x: str, now: str, locked: str) -> str:
        """Tokens (N n, w) to what is predicted for each, (N n, 200).

        Args:
            x: With their positions.
            now: Condition of the tokens that are not locked, (N, w), or (1, w) for all sequences.
            locked: That of the others.
        """
        graph, blocks, width = self.graph, self.blocks, self.config.decoder.width
        conditions = graph.swish(now), graph.swish(locked)
        for layer in range(self.config.decoder.layers):
            name = f"decoder.layers.{layer}"
            shift1, scale1, gate1, shift2, scale2, gate2 = self._modulation(f"{name}.modulation", conditions, 6, width)
            normed = self._modulated(x, shift1, scale1)
            attended = blocks.self_attention(f"{name}.attn", normed, self._count, self._causal)
            x = graph.op("Add", x, graph.op("Mul", gate1, attended))
            if self._attended:
                x = graph.op("Add", x, self._cross(name, x, *self._attended[layer]))
            mixed = blocks.two_layers(f"{name}.mlp", self._modulated(x, shift2, scale2))
            x = graph.op("Add", x, graph.op("Mul", gate2, mixed))
        shift, scale = self._modulation("decoder.modulation", conditions, 2, width)
        return blocks.linear("decoder.out", self._modulated(x, shift, scale))

    def timed(self, times: Sequence[int]) -> tuple[str, ...]:
        """Conditions of times that are known at compile time, each (1, w)."""
        exact, width = self._weights.exact, self.config.decoder.width
        hidden = time_sinusoids(times, width) @ exact("decoder.time.0.weight").T + exact("decoder.time.0.bias")
        hidden = hidden / (1 + np.exp(-hidden))
        vectors = hidden @ exact("decoder.time.2.weight").T + exact("decoder.time.2.bias")
        return self.graph.split(self.graph.floats(vectors), [1] * len(times), axis=0)

    def _modulation(self, name: str, conditions: tuple[str, str], parts: int, width: int) -> tuple[str, ...]:
        """Of each token, `parts` values (N n, w)."""
        graph, each = self.graph, self.each
        now, locked = (self._by_sequence(self.blocks.linear(name, condition)) for condition in conditions)
        picked = graph.op("Where", self._locked, locked, now)
        return graph.split(each.rows(picked, self._count, parts * width), [width] * parts, axis=1)

    def _by_sequence(self, x: str) -> str:
        """(N, m) as (1, m) of each sequence; what is the same for all is left as it is, and spreads to all."""
        if isinstance(self.config.head, FlowHead):
            return x
        return self.each.shaped(x, 1, -1)

    def _modulated(self, x: str, shift: str, scale: str) -> str:
        graph = self.graph
        scaled = graph.op("Mul", self.blocks.plain_norm(x), graph.op("Add", scale, graph.floats(1.0)))
        return graph.op("Add", scaled, shift)

    def _cross(self, name: str, x: str, keys: str, values: str) -> str:
        blocks = self.blocks
        queries = blocks.linear(f"{name}.cross.query", blocks.norm(f"{name}.cross_norm", x))
        attended = blocks.attend(blocks.queries(queries, self._count), keys, values, None)
        return blocks.linear(f"{name}.cross.proj", blocks.joined(attended, self._count))


class RowEmbedding:
    """Builds what makes tokens of rows; declares `action_mask` where the configuration asks for it.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
    """

    def __init__(self, graph: Graph, weights: HeadWeights) -> None:
        config, each = weights.config, graph.each
        self._graph = graph
        self._blocks = Blocks(graph, weights, config.decoder, each.count)
        self._mask = ""
        if config.action_mask:
            mask = each.input(ACTION_MASK, (1, UNIFIED_WIDTH), "float32")
            self._mask = each.rows(each.expand(mask, config.rows, UNIFIED_WIDTH), config.rows, UNIFIED_WIDTH)

    def masked(self, rows: str) -> str:
        """Rows (B T, 200) with zeros where nothing is the robot's own, where the policy is told."""
        return self._graph.op("Mul", rows, self._mask) if self._mask else rows

    def embedded(self, rows: str) -> str:
        """Rows (B T, 200) as tokens (B T, w)."""
        if self._mask:
            rows = self._graph.concat([self.masked(rows), self._mask], axis=1)
        return self._blocks.two_layers("decoder.embed", rows)
