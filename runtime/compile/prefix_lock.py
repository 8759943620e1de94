"""The lock of committed rows, for samplers of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.guided import Guidance
from unichunk.runtime.policy.optional_inputs import ACTION_MASK
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph


class PrefixLock:
    """Declares `previous_chunk` (T, 200) and `delay` () and holds the rows before the delay.

    Rows of a batch's requests lie one below the other: T stands for all of them then.

    Args:
        graph: Where the nodes go.
        rows: T, rows of a request's chunk.

    Attributes:
        rows: T.
        each: Which rows of each request are locked, (T, 1) bool, with the axis of requests where there are several.
        all: The same one below the other, (T, 1).
    """

    def __init__(self, graph: Graph, rows: int) -> None:
        self._graph = graph
        self.rows = rows
        each, self._rows = graph.each, graph.each.count * rows
        previous = each.input("previous_chunk", (rows, UNIFIED_WIDTH), "float32")
        self._previous = each.rows(previous, rows, UNIFIED_WIDTH)
        self._delay = each.input("delay", (), "int64")
        self.each = graph.op("Less", graph.integers(np.arange(rows)[:, None]), each.shaped(self._delay, 1, 1))
        self.all = each.rows(self.each, rows, 1)

    def guidance(self) -> Guidance:
        """What steers rows towards the previous chunk instead; declares the inputs `overlap` and `action_mask`.

        What stands in slots that are not the robot's own is nobody's plan, and whoever predicted it was never asked.
        """
        return Guidance(self._graph, self.rows, UNIFIED_WIDTH, self._previous, self._delay, self.own())

    def own(self) -> str:
        """Which columns are the robot's own, (1, 200) of each request, 1 or 0; declares the input `action_mask`."""
        return self._graph.each.input(ACTION_MASK, (1, UNIFIED_WIDTH), "float32")

    def locked(self, rows: str) -> str:
        """Rows before the delay from the previous chunk, (T, 200)."""
        return self._graph.op("Where", self.all, self._previous, rows)

    def finally_locked(self, rows: str) -> str:
        """The same by copying whole rows: the `Where` of some engines turns -0.0 into 0.0, a copy keeps every bit."""
        graph, own = self._graph, np.arange(self._rows)
        locked = graph.reshape(self.all, self._rows)
        picked = graph.op("Where", locked, graph.integers(own + self._rows), graph.integers(own))
        return graph.op("Gather", graph.concat([rows, self._previous], axis=0), picked, axis=0)
