"""Mixture of Flow: the router in the prefix graph, and the chosen experts' feed-forward blocks.

See `unichunk.runtime.train.routing` for what the paper says of it and what is this project's reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.config import MixtureConfig
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.weight_file import Weight

EXPERTS, GATES = "experts", "expert_gates"
"""Names of what the prefix graph gives to the chunk graphs: numbers of the k chosen experts, and their shares."""


class Choice(NamedTuple):
    """Numbers of the chosen experts (k,) int64 and their shares (k,) float32, of each request."""

    experts: str
    gates: str

    @classmethod
    def given(cls, graph: Graph, mixture: MixtureConfig) -> Choice:
        """As inputs of a chunk graph."""
        shape = (mixture.top_k,)
        return cls(graph.each.input(EXPERTS, shape, "int64"), graph.each.input(GATES, shape, "float32"))

    def give(self, graph: Graph, mixture: MixtureConfig) -> None:
        """As outputs of a prefix graph."""
        graph.each.output(EXPERTS, self.experts, (mixture.top_k,), "int64")
        graph.each.output(GATES, self.gates, (mixture.top_k,), "float32")


def routed(graph: Graph, weights: CheckpointWeights, state: str, text: str, length: int) -> Choice:
    """Choose experts; in float32 in all precisions, since a choice must not depend on rounding.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        state: The `state` input, (1, 200).
        text: The `tokens` input, (1, L).
        length: L.
    """
    each, mixture, width = graph.each, weights.config.mixture, weights.config.language.width
    assert mixture is not None
    embeddings = weights.operand("language_model.model.embed_tokens.weight")
    words = each.looked_up(embeddings, each.reshape(graph.op("Max", text, graph.integers([[0]])), length))
    given = graph.op("Cast", graph.op("Greater", text, graph.integers(-1)), to=1)
    count = each.reduce("ReduceSum", given, [1], keep=True)
    mean = graph.op("Div", graph.op("MatMul", given, each.shaped(words, length, width)), count)
    x = each.rows(each.concat([state, mean], axis=1), 1, UNIFIED_WIDTH + width)
    x = graph.swish(_product(graph, weights, "router.layer1", x))
    best, experts = graph.largest(_product(graph, weights, "router.layer2", x), mixture.top_k)
    gates = graph.op("Softmax", best, axis=-1)
    return Choice(each.reshape(experts, mixture.top_k), each.reshape(gates, mixture.top_k))


def _product(graph: Graph, weights: CheckpointWeights, name: str, x: str) -> str:
    matrix, bias = (graph.weight(weights.vector(f"{name}.{part}")) for part in ("weight", "bias"))
    return graph.op("Gemm", x, matrix, bias, transB=1)


class ChosenExperts:
    """Builds one layer's chosen feed-forward blocks side by side, as one block of k times the width.

    Their weights are looked up by the choice alone, so once for a chunk, whatever the number of denoising steps.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        layer: Its number.
        choice: Of experts.
    """

    def __init__(self, graph: Graph, weights: CheckpointWeights, layer: int, choice: Choice) -> None:
        mixture = weights.config.mixture
        assert mixture is not None
        self.graph = graph
        self.weights = weights
        self._mixture = mixture
        self._name = f"language_model.model.layers.{layer}.mlp_mot_gen"
        self._width = weights.config.expert.width
        self._choice = choice

    def mixed(self, x: str, count: int) -> str:
        """The weighted outputs of the chosen blocks.

        Args:
            x: Normed tokens, those of all requests one below the other, (B count, e) float32.
            count: How many of one request.
        """
        graph, each, width = self.graph, self.graph.each, self._width
        acting, mlp = self._mixture.top_k, self._mixture.mlp
        inside = acting * mlp
        both = each.transpose(self._looked_up("gate_up", (width, 2, mlp), self._gate_up), 1, 2, 0, 3)
        x = each.shaped(graph.narrow(x), count, width)
        hidden = graph.wide(graph.op("MatMul", x, each.reshape(both, width, 2 * inside)))
        gate, up = each.split(hidden, [inside, inside], axis=1)
        hidden = graph.op("Mul", graph.op("Mul", graph.swish(gate), up), self._gates(inside))
        down = each.reshape(self._looked_up("down", (mlp, width), self._down), inside, width)
        return each.rows(graph.wide(graph.op("MatMul", graph.narrow(hidden), down)), count, width)

    def _gates(self, inside: int) -> str:
        """Shares of all hidden channels, (1, k m)."""
        each, acting = self.graph.each, self._mixture.top_k
        gates = each.reshape(self._choice.gates, acting, 1)
        return each.reshape(each.expand(gates, acting, self._mixture.mlp), 1, inside)

    def _looked_up(self, part: str, shape: tuple[int, ...], one: Callable[[str], NDArray[np.float64]]) -> str:
        """The chosen experts' weights, (k, ...), in the graph's precision."""
        experts = [f"{self._name}.experts.{number}" for number in range(self._mixture.experts)]
        weight: Weight = self.weights.file.add(
            f"{self._name}.{part}.bank",
            self.weights.precision.type,
            (len(experts), *shape),
            lambda: (one(name)[None] for name in experts),
        )
        return self.graph.op("Gather", self.graph.weight(weight), self._choice.experts, axis=0)

    def _gate_up(self, expert: str) -> NDArray[np.float64]:
        """(e, 2, m)."""
        return np.stack([self.weights.exact(f"{expert}.{part}_proj.weight").T for part in ("gate", "up")], axis=1)

    def _down(self, expert: str) -> NDArray[np.float64]:
        """(m, e)."""
        return self.weights.exact(f"{expert}.down_proj.weight").T
