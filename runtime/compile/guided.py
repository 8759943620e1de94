"""Inference-time real-time chunking: rows that are steered towards the running plan while they are denoised.

For policies that never saw a locked prefix in training (Black, Galliker, Levine 2025, "Real-Time Execution of Action
Chunking Flow Policies", equations 2 to 5, after Pokle et al. 2023). All rows are at the same time t; at every Euler
step the estimate of the final chunk, A1 = A + (1 - t) v(A, t), is pulled towards the running plan Y: it moves along

    v + min(5, (1 - t) / (t r^2)) (W (Y - A1))^T dA1 / dA,    r^2 = (1 - t)^2 / (t^2 + (1 - t)^2),

where the soft mask W is 1 for committed rows, decays exponentially over the rest of the running plan, and is 0 behind
its end and in columns that are not the robot's own. The last factor goes through the denoiser: a vector-Jacobian
product, built by `reverse`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.compile.precision import ONNX_TYPES
from unichunk.runtime.compile.reverse import vector_jacobian
from unichunk.runtime.compile.value_types import ValueTypes

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph

OVERLAP: Final = "overlap"
"""Name of the input that says how many rows of the running plan are there."""

LARGEST_WEIGHT: Final = 5.0
"""Where the guidance is clipped, as in the paper."""


def guidance_weight(time: float) -> float:
    """Weight at a time t of the flow: min(clip, (1 - t) / (t r^2)), which is (t^2 + (1 - t)^2) / (t (1 - t))."""
    if time <= 0.0:
        return LARGEST_WEIGHT
    left = 1.0 - time
    return min(LARGEST_WEIGHT, (time**2 + left**2) / (time * left))


class Guidance:
    """Builds the soft mask and the guided Euler step; declares the input `overlap`.

    Rows of a batch's requests lie one below the other: T stands for all of them then.

    Args:
        graph: Where the nodes go.
        rows: T, rows of a request's chunk.
        width: Of a row.
        previous: The running plan, (T, width); rows from the overlap on may hold anything.
        delay: d of each request, () int64.
        own: Which columns are the robot's own, (1, width) of each request, 1 or 0; all where it is not given.
    """

    def __init__(self, graph: Graph, rows: int, width: int, previous: str, delay: str, own: str | None = None) -> None:
        self.graph = graph
        self._types = ValueTypes(graph)
        each = graph.each
        committed, there = (
            graph.op("Cast", each.shaped(count, 1, 1), to=ONNX_TYPES["float32"])
            for count in (delay, each.input(OVERLAP, (), "int64"))
        )
        # Committed rows are there, whoever counted.
        there = graph.op("Max", there, committed)
        places = graph.floats(np.arange(rows)[:, None])
        mask = self._soft_mask(places, committed, there)
        self._mask = each.rows(mask, rows, 1) if own is None else each.rows(graph.op("Mul", mask, own), rows, width)
        known = each.rows(graph.op("Less", places, there), rows, 1)
        # Zero times what is not there must be zero, whatever that holds.
        self._plan = graph.op("Where", known, previous, graph.floats(0.0))

    def advanced(self, rows: str, velocity: str, step: int, steps: int) -> str:
        """Guided Euler step, (T, width).

        Args:
            rows: At time `step` / `steps`, all of them, (T, width).
            velocity: There, (T, width); a function of `rows`.
            step: Its number, from 0.
            steps: K.
        """
        graph, time = self.graph, step / steps
        ahead = graph.op("Mul", velocity, graph.floats(1.0 - time))
        estimate = graph.op("Add", rows, ahead)
        error = graph.op("Mul", graph.op("Sub", self._plan, estimate), self._mask)
        pull = vector_jacobian(graph, self._types, estimate, rows, error)
        pull = graph.op("Mul", pull, graph.floats(guidance_weight(time) / steps))
        moved = graph.op("Add", rows, graph.op("Mul", velocity, graph.floats(1.0 / steps)))
        return graph.op("Add", moved, pull)

    def _soft_mask(self, places: str, committed: str, there: str) -> str:
        """W of each request, (T, 1): 1 for i < d; c (e^c - 1) / (e - 1), c = (m - i) / (m - d + 1), for i < m; 0."""
        graph, one = self.graph, self.graph.floats(1.0)
        span = graph.op("Add", graph.op("Sub", there, committed), one)
        share = graph.op("Div", graph.op("Sub", there, places), span)
        # Negative behind the end of the running plan, more than one before its committed rows' end.
        share = graph.op("Min", graph.op("Max", share, graph.floats(0.0)), one)
        grown = graph.op("Sub", graph.op("Exp", share), one)
        decay = graph.op("Mul", graph.op("Mul", share, grown), graph.floats(1.0 / math.expm1(1.0)))
        return graph.op("Where", graph.op("Less", places, committed), one, decay)
