"""Manifold-preserving gating: how far the actions may be moved by features of the last round's result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.config import MpgConfig
    from unichunk.runtime.compile.graph import Graph

EPS: Final = 1e-5
"""Of the layer norms, which have no weights."""


class Gated(NamedTuple):
    """Enhanced action embeddings (T, e), gate () and discrepancy (); the last two of each request."""

    embedded: str
    gate: str
    discrepancy: str


class Gating:
    """Builds the gate of every step of the refinement rounds.

    With F = [0; action_to_vlm_proj(embeddings)], O = obs_proj(F), X = LN(O), and z the mean over rows of
    LN(action_proj(anchor)): D = mean over directions and rows of ((X - z) theta)^2, which is the sliced distance of
    the sorted projections, since all rows of its other side are z. g = exp(-D / tau), F' = F + lambda
    enhancement_proj(g O), and the action rows of F' go through vlm_to_action_proj. The last two layers are folded:
    result = vlm_to_action_proj(F + lambda b) + (lambda V E)(g O).

    D is computed in float32 in all precisions. Each request of a batch has its own mean, distance and gate; (T, ...)
    are the rows of all of them, one below the other.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        config: The gating's numbers.
        rows: T of a request.
        directions: theta, unit vectors (M, h).
    """

    def __init__(
        self,
        graph: Graph,
        weights: CheckpointWeights,
        config: MpgConfig,
        rows: int,
        directions: NDArray[np.float32],
    ) -> None:
        self.graph = graph
        self.weights = weights
        self.config = config
        self.rows = rows
        self._projections, self.width = directions.shape
        self._scale = 1.0 / ((rows + 1) * len(directions))
        self._directions = graph.floats(directions.T)
        # The row that stands for the state is zero, so its observation is the bias, in every step of every round.
        bias = weights.exact("mpg.obs_proj.bias")
        normed = (bias - bias.mean()) / np.sqrt(bias.var() + EPS)
        self._state = graph.floats((normed @ directions.T.astype(np.float64))[None])

    def anchored(self, anchor: str) -> str:
        """Projections z theta for all directions, (1, M) of each request, of anchor embeddings (T, e)."""
        graph, each = self.graph, self.graph.each
        normed = self._normed(graph.linear(anchor, *self.weights.linear("mpg.action_proj")))
        mean = each.reduce("ReduceMean", each.shaped(normed, self.rows, self.width), [0], keep=True)
        return graph.op("MatMul", mean, self._directions)

    def gated(self, embedded: str, anchor: str) -> Gated:
        """One step.

        Args:
            embedded: Action embeddings (T, e).
            anchor: z theta, (1, M) of each request.
        """
        graph, each = self.graph, self.graph.each
        features = graph.linear(embedded, *self.weights.linear("action_to_vlm_proj"))
        observed = graph.linear(features, *self.weights.linear("mpg.obs_proj"))
        projected = graph.op("MatMul", self._normed(observed), self._directions)
        projected = each.shaped(projected, self.rows, self._projections)
        total = graph.op("Add", self._distance(projected, anchor), self._distance(self._state, anchor))
        discrepancy = graph.op("Mul", total, graph.floats(self._scale))
        gate = graph.op("Exp", graph.op("Mul", discrepancy, graph.floats(-1.0 / self.config.temperature)))
        shape = (self.weights.config.expert.width, self.width)
        bias = self.weights.computed("mpg.enhanced_back.bias", shape[:1], self._back_bias)
        base = graph.linear(features, self.weights.operand("vlm_to_action_proj.weight"), bias)
        weight = self.weights.computed("mpg.enhanced_back.weight", shape, self._back_weight)
        gated = graph.op("Mul", each.shaped(observed, self.rows, self.width), each.shaped(gate, 1, 1))
        gated = each.rows(gated, self.rows, self.width)
        return Gated(graph.linear_onto(gated, weight, base), gate, discrepancy)

    def _normed(self, x: str) -> str:
        return self.graph.layer_norm(x, self.graph.floats(np.ones(self.width)), None, EPS)

    def _distance(self, projected: str, anchor: str) -> str:
        """Sum of squared differences, () of each request."""
        difference = self.graph.op("Sub", projected, anchor)
        return self.graph.each.reduce("ReduceSumSquare", difference, [0, 1], keep=False)

    def _back_weight(self) -> NDArray[np.float64]:
        """Product lambda V E, (e, h)."""
        exact = self.weights.exact
        product = exact("vlm_to_action_proj.weight") @ exact("mpg.enhancement_proj.weight")
        return np.asarray(self.config.strength * product)

    def _back_bias(self) -> NDArray[np.float64]:
        """Bias of the way back, and what the ungated bias of the enhancement adds to it, (e,)."""
        exact = self.weights.exact
        enhancement = exact("vlm_to_action_proj.weight") @ exact("mpg.enhancement_proj.bias")
        return np.asarray(exact("vlm_to_action_proj.bias") + self.config.strength * enhancement)
