"""Actions to tokens and back, at the times of an unrolled sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.adapters import SlotAdapters
from unichunk.runtime.compile.positions import time_sinusoids
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.prefix_lock import PrefixLock


class Actions:
    """Builds the action encoder, the action decoder and the Euler step.

    Rows of a batch's requests lie one below the other: T stands for all of them then.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        lock: Says which rows are locked.
        steps: K, Euler steps.
        places: For how many slots there are adapters, in a checkpoint that has them.
    """

    def __init__(
        self,
        graph: Graph,
        weights: CheckpointWeights,
        lock: PrefixLock,
        steps: int,
        places: int = UNIFIED_WIDTH,
    ) -> None:
        self.graph = graph
        self.weights = weights
        self.steps = steps
        self._locked = lock.all
        *buckets, self._done = self._time_vectors()
        self._times = buckets
        self._rows = lock.rows
        self._adapters: SlotAdapters | None = None
        if weights.config.adapter_rank:
            self._adapters = SlotAdapters(graph, weights, lock.own(), places)

    def embedded(self, rows: str, step: int, *, together: bool = False) -> str:
        """Action embeddings (T, e) at a step's time; those of locked rows at time 1, unless all go together."""
        if together:
            return self._encoded(rows, self._times[step])
        return self._encoded(rows, self.graph.op("Where", self._locked, self._done, self._times[step]))

    def anchor(self, rows: str) -> str:
        """Embeddings (T, e) of a round's result, all rows at time 0."""
        return self._encoded(rows, self._times[0])

    def advanced(self, rows: str, hidden: str) -> str:
        """Euler step: rows + velocity / K, (T, 200); hidden (T, e) is normed."""
        return self.graph.op("Add", rows, self.velocity(hidden, scale=1.0 / self.steps))

    def velocity(self, hidden: str, scale: float = 1.0) -> str:
        """Velocity times a factor, (T, 200); hidden (T, e) is normed."""
        graph, name = self.graph, "action_decoder"
        hidden = graph.op("Relu", graph.linear(hidden, *self.weights.linear(f"{name}.layer1")))
        velocity = graph.linear(hidden, *self.weights.linear(f"{name}.layer2"), scale=scale)
        if self._adapters is None:
            return velocity
        return graph.op("Add", velocity, self._adapters.decoded(hidden, self._rows, scale))

    def _encoded(self, rows: str, time: str) -> str:
        """W3(swish(W2([W1(rows), s]))), with W1 folded into W2, and W2's part for s into the time vectors."""
        shape = (self.weights.config.expert.width, UNIFIED_WIDTH)
        weight = self.weights.computed("action_encoder.W2_W1.weight", shape, self._folded)
        hidden = self.graph.linear_onto(rows, weight, time)
        if self._adapters is not None:
            second = self.weights.exact("action_encoder.W2.weight")
            folded = second[:, : len(second)]
            adapted = self._adapters.encoded("action_encoder", rows, self._rows, folded)
            hidden = self.graph.op("Add", hidden, adapted)
        hidden = self.graph.swish(hidden)
        return self.graph.linear(hidden, *self.weights.linear("action_encoder.W3"))

    def _folded(self) -> NDArray[np.float64]:
        """W2's part for W1's outputs, times W1, (e, 200)."""
        exact = self.weights.exact
        first = exact("action_encoder.W1.weight")
        return np.asarray(exact("action_encoder.W2.weight")[:, : len(first)] @ first)

    def _time_vectors(self) -> tuple[str, ...]:
        """What the time and the biases give to W2's outputs: (1, e) for every step's time, and for time 1."""
        buckets = self.weights.config.time_buckets
        times = [int(step / self.steps * buckets) for step in range(self.steps)] + [buckets]
        exact = self.weights.exact
        second = exact("action_encoder.W2.weight")
        width = len(second)
        offset = second[:, :width] @ exact("action_encoder.W1.bias") + exact("action_encoder.W2.bias")
        vectors = time_sinusoids(times, width) @ second[:, width:].T + offset
        return self.graph.split(self.graph.floats(vectors), [1] * len(times), axis=0)
