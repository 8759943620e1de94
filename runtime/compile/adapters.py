"""Embodiment-specific adaptation: a bank of adapters, of which a robot's own slots are looked up once for a chunk.

See `unichunk.runtime.train.adapters` for what the paper says of it and what is this project's reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.robots import Robot
    from unichunk.runtime.policy.manifest import Key


class Places(NamedTuple):
    """For how many slots the graphs compute adapters: as many as the robot with the most of them has."""

    state: int = UNIFIED_WIDTH
    action: int = UNIFIED_WIDTH

    @classmethod
    def of(cls, robots: Sequence[Robot]) -> Places:
        """What these robots need."""
        entries = [robot.entry(0) for robot in robots]
        return cls(max(_width(entry.state) for entry in entries), max(_width(entry.action) for entry in entries))


class SlotAdapters:
    """Builds the adapters of a robot's own slots.

    The shapes are fixed: n places, of which those that the robot does not need look up an empty adapter behind the last
    slot. What is looked up depends on the mask alone, so it is there once, whatever the number of denoising steps.
    Rows of a batch's requests lie one below the other: T stands for all of them then.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        mask: 1 in the robot's own slots, 0 elsewhere, (1, 200) float32 of each request.
        places: n.
    """

    def __init__(self, graph: Graph, weights: CheckpointWeights, mask: str, places: int) -> None:
        self.graph = graph
        self.weights = weights
        self._places = places
        self._rank, self._width = weights.config.adapter_rank, weights.config.expert.width
        each = graph.each
        own, slots = graph.largest(mask, places)
        used = graph.op("Greater", own, graph.floats(0.0))
        self._slots = each.reshape(graph.op("Where", used, slots, graph.integers(UNIFIED_WIDTH)), places)
        at = graph.op("Equal", each.reshape(self._slots, places, 1), graph.integers(np.arange(UNIFIED_WIDTH)[None]))
        self._at = graph.op("Cast", at, to=1)

    def encoded(self, name: str, x: str, rows: int, folded: NDArray[np.float64] | None = None) -> str:
        """Unified rows (T, 200) to channels (T, e).

        Args:
            name: The bank, `state_encoder` or `action_encoder`.
            x: The rows.
            rows: How many of a request.
            folded: A matrix (e, e) that the channels go through at once; it costs nothing.
        """
        graph, each, places, rank = self.graph, self.graph.each, self._places, self._rank
        bank = f"adapters.{name}"
        first = self._looked_up(f"{bank}.layer1.weight", (rank,), lambda values: values[..., 0], exact=True)
        at = each.transpose(each.reshape(self._at, places, 1, UNIFIED_WIDTH), 2, 0, 1)
        spread = graph.op("Mul", at, each.reshape(first, 1, places, rank))
        spread = each.reshape(spread, UNIFIED_WIDTH, places * rank)

        def turned(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.swapaxes(values if folded is None else folded @ values, 1, 2)

        hidden = self._hidden(each.shaped(x, rows, UNIFIED_WIDTH), graph.narrow(spread), bank)
        second = self._looked_up(f"{bank}.layer2.weight", (rank, self._width), turned)
        second = each.reshape(second, places * rank, self._width)
        return each.rows(graph.wide(graph.op("MatMul", graph.narrow(hidden), second)), rows, self._width)

    def decoded(self, x: str, rows: int, scale: float) -> str:
        """Channels (T, e) to unified rows (T, 200), times a factor."""
        graph, each, places, rank = self.graph, self.graph.each, self._places, self._rank
        bank = "adapters.action_decoder"
        first = self._looked_up(f"{bank}.layer1.weight", (rank, self._width), lambda values: values)
        first = each.transpose(each.reshape(first, places * rank, self._width), 1, 0)
        hidden = self._hidden(each.shaped(x, rows, self._width), first, bank)
        second = self._looked_up(f"{bank}.layer2.weight", (rank,), lambda values: values[:, 0], exact=True)
        second = graph.op(
            "Mul", each.reshape(second, places, rank, 1), each.reshape(self._at, places, 1, UNIFIED_WIDTH)
        )
        second = graph.op("Mul", second, graph.floats(scale))
        second = graph.narrow(each.reshape(second, places * rank, UNIFIED_WIDTH))
        return each.rows(graph.wide(graph.op("MatMul", graph.narrow(hidden), second)), rows, UNIFIED_WIDTH)

    def _hidden(self, x: str, first: str, bank: str) -> str:
        """Hidden values of all places, (T, n r)."""
        graph = self.graph
        bias = self._looked_up(f"{bank}.layer1.bias", (self._rank,), lambda values: values, exact=True)
        bias = graph.each.reshape(bias, 1, self._places * self._rank)
        return graph.swish(graph.op("Add", graph.wide(graph.op("MatMul", graph.narrow(x), first)), bias))

    def _looked_up(
        self,
        name: str,
        shape: tuple[int, ...],
        turned: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        *,
        exact: bool = False,
    ) -> str:
        """A part of the bank for the robot's places, (n, ...): float32 where exact, else an operand of products."""

        def bank() -> NDArray[np.float64]:
            values = turned(self.weights.exact(name))
            return np.concatenate([values, np.zeros((1, *values.shape[1:]))])

        type_name = "float32" if exact else self.weights.precision.type
        weight = self.weights.file.add(f"{name}.bank", type_name, (UNIFIED_WIDTH + 1, *shape), lambda: [bank()])
        return self.graph.op("Gather", self.graph.weight(weight), self._slots, axis=0)


def _width(keys: Mapping[str, Key]) -> int:
    return sum(stop - start for start, stop in (key.slots for key in keys.values()))
