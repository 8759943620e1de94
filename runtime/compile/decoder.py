"""Decoder layers with two sets of weights, the language model's and the action expert's, and one attention."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.compile.mixture import ChosenExperts
from unichunk.runtime.compile.tensors import EXPERT_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.mixture import Choice
    from unichunk.runtime.compile.weight_file import Weight


@dataclass(frozen=True)
class Tokens:
    """Tokens that go through the same weights.

    Attributes:
        x: Their hidden states, (count, width) float32, those of a batch's requests one below the other.
        count: How many, of one request.
        expert: Whether the weights are the action expert's.
        cos, sin: Rotary tables of their positions, (count, 1, head_dim) float32; of each request where they differ,
            (1, count, 1, head_dim).
    """

    x: str
    count: int
    expert: bool
    cos: str
    sin: str


@dataclass(frozen=True)
class KeysValues:
    """What is attended to, of each request.

    Attributes:
        keys: (kv heads, head_dim, count).
        values: (kv heads, count, head_dim).
        count: Number of tokens.
    """

    keys: str
    values: str
    count: int


class DecoderLayer:
    """Builds the nodes of one layer.

    G query heads share a key-value head; they are kept together, tokens first: (kv heads, tokens * G, head_dim). So
    keys and values are never repeated. Several requests differ here alone: each attends to its own.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        layer: Its number.
        choice: Of experts, in a checkpoint with a mixture of them, where the action expert's tokens go through.
    """

    def __init__(self, graph: Graph, weights: CheckpointWeights, layer: int, choice: Choice | None = None) -> None:
        self.graph = graph
        self.weights = weights
        self.config = weights.config.language
        self.name = f"language_model.model.layers.{layer}"
        self.group = self.config.heads // self.config.kv_heads
        self._experts: ChosenExperts | None = None
        mixture = weights.config.mixture
        if mixture is not None and choice is not None and layer >= mixture.shared_layers:
            self._experts = ChosenExperts(graph, weights, layer, choice)
        self._head_norms: dict[bool, tuple[NDArray[Any], NDArray[Any]]] = {}

    def heads(self, tokens: Sequence[Tokens]) -> tuple[str, KeysValues]:
        """Queries (kv heads, count * G, head_dim), and keys and values, of all tokens in order."""
        graph, each, group, width = self.graph, self.graph.each, self.group, self.config.head_dim
        count = sum(part.count for part in tokens)
        parts = [self._projected(part, queries=True) for part in tokens]
        x = each.transpose(each.concat(parts, axis=0), 1, 0, 2, 3)
        x, values = each.split(x, [group + 1, 1], axis=2)
        x = self._rotated(graph.wide(x), tokens, group + 1)
        queries, keys = each.split(x, [group, 1], axis=2)
        queries = graph.narrow(each.reshape(queries, self.config.kv_heads, count * group, width))
        return queries, self._keys_values(keys, values, count)

    def keys_values(self, tokens: Sequence[Tokens]) -> KeysValues:
        """Keys and values alone, where nothing will be asked of these tokens any more."""
        each, count = self.graph.each, sum(part.count for part in tokens)
        parts = [self._projected(part, queries=False) for part in tokens]
        x = each.transpose(each.concat(parts, axis=0), 1, 0, 2, 3)
        keys, values = each.split(x, [1, 1], axis=2)
        return self._keys_values(self._rotated(self.graph.wide(keys), tokens, 1), values, count)

    def attend(self, queries: str, segments: Sequence[KeysValues], mask: str, count: int) -> str:
        """One softmax over all segments; (count, heads * head_dim) float32.

        Args:
            queries: (kv heads, count * G, head_dim).
            segments: In the order of the mask's columns.
            mask: What is added to the scores, (count * G, all keys) float32; of each request where they differ,
                (1, count * G, all keys).
            count: Tokens that ask.
        """
        graph, each, config = self.graph, self.graph.each, self.config
        scores = each.concat([graph.op("MatMul", queries, segment.keys) for segment in segments], axis=2)
        scores = graph.op("Softmax", graph.op("Add", graph.wide(scores), mask), axis=-1)
        parts = each.split(graph.narrow(scores), [segment.count for segment in segments], axis=2)
        products = [graph.op("MatMul", *pair) for pair in zip(parts, (part.values for part in segments), strict=True)]
        x = graph.wide(products[0])
        for product in products[1:]:
            x = graph.op("Add", x, graph.wide(product))
        x = each.reshape(x, config.kv_heads, count, self.group * config.head_dim)
        return graph.reshape(each.transpose(x, 1, 0, 2), each.count * count, config.heads * config.head_dim)

    def finished(self, tokens: Tokens, attended: str) -> Tokens:
        """The rest of the layer: output projection and feed-forward block."""
        graph, suffix = self.graph, _suffix(tokens)
        mlp = f"{self.name}.mlp{suffix}"
        x = graph.linear_onto(attended, self.weights.operand(f"{self.name}.self_attn.o_proj{suffix}.weight"), tokens.x)
        normed = self._norm("post_attention_layernorm", tokens, x)
        if tokens.expert and self._experts is not None:
            return replace(tokens, x=graph.op("Add", x, self._experts.mixed(normed, tokens.count)))
        both = [f"{mlp}.{part}_proj.weight" for part in ("gate", "up")]
        hidden = graph.linear(normed, self.weights.stacked(f"{mlp}.gate_up_proj.weight", both))
        size = self.weights.config.expert.mlp if tokens.expert else self.config.mlp
        gate, up = graph.split(hidden, [size, size], axis=1)
        hidden = graph.op("Mul", graph.swish(gate), up)
        return replace(tokens, x=graph.linear_onto(hidden, self.weights.operand(f"{mlp}.down_proj.weight"), x))

    def _norm(self, name: str, tokens: Tokens, x: str) -> str:
        weight = self.weights.vector(f"{self.name}.{name}{_suffix(tokens)}.weight")
        return self.graph.rms_norm(x, self.graph.weight(weight), self._eps(tokens))

    def _eps(self, tokens: Tokens) -> float:
        return self.weights.config.expert.norm_eps if tokens.expert else self.config.norm_eps

    def _projected(self, tokens: Tokens, *, queries: bool) -> str:
        """(count, kv heads, G queries if wanted, one key and one value, head_dim), in the graph's precision."""
        graph, config, suffix = self.graph, self.config, _suffix(tokens)
        normed = self._norm("input_layernorm", tokens, tokens.x)
        # The expert's queries are needed by the action tokens in any case, so its matrix is whole.
        whole = queries or tokens.expert
        letters = "qkv" if whole else "kv"
        parts = [f"{self.name}.self_attn.{letter}_proj{suffix}.weight" for letter in letters]
        weight = self.weights.stacked(f"{self.name}.self_attn.{letters}_proj{suffix}.weight", parts, config.kv_heads)
        size = (self.group if whole else 0) + 2
        x = graph.each.reshape(graph.project(normed, weight), tokens.count, config.kv_heads, size, config.head_dim)
        return x if whole == queries else graph.each.split(x, [self.group, 2], axis=2)[1]

    def _rotated(self, x: str, tokens: Sequence[Tokens], heads: int) -> str:
        """Norm and rotary embedding of x (kv heads, count, heads, head_dim); the last head is the key."""
        graph, each, width = self.graph, self.graph.each, self.config.head_dim
        cos, sin = self._tables(tokens, heads)
        ones = graph.floats(np.ones(width))
        if len({self._eps(part) for part in tokens}) == 1:
            x = graph.rms_norm(x, ones, self._eps(tokens[0]))
        else:
            pieces = each.split(x, [part.count for part in tokens], axis=1)
            pairs = zip(pieces, tokens, strict=True)
            x = each.concat([graph.rms_norm(piece, ones, self._eps(part)) for piece, part in pairs], axis=1)
        halves = each.split(x, [width // 2, width // 2], axis=3)
        swapped = each.concat([halves[1], halves[0]], axis=3)
        return graph.op("Add", graph.op("Mul", x, cos), graph.op("Mul", swapped, sin))

    def _tables(self, tokens: Sequence[Tokens], heads: int) -> tuple[str, str]:
        """Factors of a normed head and of its swapped halves, (count, heads, head_dim).

        They hold the weights of the head norms, the rotation with its sign, and for queries 1 / sqrt(head_dim).
        """
        graph = self.graph
        tables: list[tuple[str, str]] = []
        for part in tokens:
            straight, swapped = (table[-heads:] for table in self._norm_weights(part))
            tables.append(
                (
                    graph.op("Mul", part.cos, graph.floats(straight)),
                    graph.op("Mul", part.sin, graph.floats(swapped)),
                )
            )
        # Tokens of more than one kind are those of the prefix, whose tables are the same for all requests.
        return graph.concat([cos for cos, _ in tables], axis=0), graph.concat([sin for _, sin in tables], axis=0)

    def _norm_weights(self, tokens: Tokens) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of G queries and a key, (G + 1, head_dim): as they multiply a head, and its swapped halves (-b, a)."""
        if tokens.expert in self._head_norms:
            return self._head_norms[tokens.expert]
        suffix, half = _suffix(tokens), self.config.head_dim // 2
        query, key = (
            self.weights.tensor(f"{self.name}.self_attn.{letter}_norm{suffix}.weight").astype(np.float32)
            for letter in "qk"
        )
        query = query / np.float32(math.sqrt(self.config.head_dim))
        straight = np.stack([query] * self.group + [key])
        swapped = np.concatenate([-straight[:, half:], straight[:, :half]], axis=1)
        self._head_norms[tokens.expert] = straight, swapped
        return straight, swapped

    def _keys_values(self, keys: str, values: str, count: int) -> KeysValues:
        shape = (self.config.kv_heads, count, self.config.head_dim)
        each = self.graph.each
        keys = each.transpose(each.reshape(keys, *shape), 0, 2, 1)
        return KeysValues(self.graph.narrow(keys), each.reshape(values, *shape), count)


def _suffix(tokens: Tokens) -> str:
    return EXPERT_SUFFIX if tokens.expert else ""


def expert_output_norm(weights: CheckpointWeights) -> Weight:
    """Weight of the norm behind the last layer of the expert."""
    return weights.vector(f"language_model.model.norm{EXPERT_SUFFIX}.weight")
