"""The chunk graph of a DDIM head: noise to rows in K steps with classifier-free guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.each_request import EachRequest
from unichunk.runtime.compile.heads.ddim_schedule import CLEAN, ddim_steps
from unichunk.runtime.compile.heads.denoiser import Denoiser, RowEmbedding
from unichunk.runtime.compile.heads.head_config import DdimHead
from unichunk.runtime.compile.prefix_lock import PrefixLock
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.heads.head_weights import HeadWeights

CONDITIONS = 2
"""Tokens before the rows: what the query found, and the state."""


def build_ddim_chunk(graph: Graph, weights: HeadWeights, steps: int) -> None:
    """Inputs `noise`, `previous_chunk`, `delay`, the prefix graph's outputs; output `actions`.

    Locked rows are clean in every step, and marked so by a time of their own, one before the schedule's first. That is
    Being-H0.5's lock in a discrete schedule; to add the others' noise to them instead (inpainting) would hide from the
    network that they are final, and blur them where the first rows are predicted.

    Args:
        graph: Empty.
        weights: Of the checkpoint.
        steps: K.
    """
    config, each = weights.config, graph.each
    head, rows = config.head, config.rows
    assert isinstance(head, DdimHead)
    noise = each.input("noise", (1, rows, UNIFIED_WIDTH), "float32")
    lock, embedding = PrefixLock(graph, rows), RowEmbedding(graph, weights)
    noises = _Noises(graph, weights, lock, head.guidance_scale)
    schedule = ddim_steps(head.training_steps, steps)
    *times, clean = noises.denoiser.timed([*(step.time for step in schedule), CLEAN])
    state = embedding.masked(graph.reshape(noise, each.count * rows, UNIFIED_WIDTH))
    for place, (step, now) in enumerate(zip(schedule, times, strict=True)):
        state = lock.locked(state)
        found = noises.predicted(embedding.embedded(state), now, clean)
        kept = graph.op("Mul", state, graph.floats(step.keep))
        state = embedding.masked(graph.op("Add", kept, graph.op("Mul", found, graph.floats(step.add))))
        if place == steps - 1:
            state = lock.finally_locked(state)
    each.output("actions", each.shaped(state, rows, UNIFIED_WIDTH), (rows, UNIFIED_WIDTH), "float32")


class _Noises:
    """Builds what the decoder says of the noise: with its condition, and without, one sequence below the other.

    e = e_without + w (e_with - e_without) (Ho, Salimans 2021, "Classifier-Free Diffusion Guidance", in the form of
    VITRA's published code). Both go through the decoder at once, as two sequences of a request.
    """

    def __init__(self, graph: Graph, weights: HeadWeights, lock: PrefixLock, scale: float) -> None:
        config, each = weights.config, graph.each
        self._graph, self._config, self._scale = graph, config, scale
        self._branches = 1 if scale == 1 else 2
        self._count = CONDITIONS + config.rows
        width = config.decoder.width
        inputs = (each.input(name, (1, width), "float32") for name in ("condition", "state_token"))
        said, state = (each.rows(value, 1, width) for value in inputs)
        self.sequences = EachRequest(graph, self._branches * each.count)
        self.denoiser = Denoiser(graph, weights, self.sequences.count, self._locked(lock), self._count)
        if self._branches == 2:
            nothing = graph.weight(weights.vector("decoder.no_condition"))
            nothing = graph.linear(nothing, *weights.linear("decoder.condition"))
            if each.count > 1:
                nothing = graph.op("Expand", nothing, graph.integers([each.count, width]))
            said = graph.concat([said, nothing], axis=0)
        self._said = said
        state = self._twice(state)
        pair = [self.sequences.shaped(value, 1, width) for value in (said, state)]
        self._conditions = self.sequences.concat(pair, axis=0)
        self._positions = graph.weight(weights.vector("decoder.positions"))

    def predicted(self, rows: str, now: str, clean: str) -> str:
        """Noise (B T, 200) in embedded rows (B T, w), guided.

        Args:
            rows: Tokens without their positions.
            now: Condition of the time of those that are not locked, (1, w).
            clean: Of the others'.
        """
        graph, sequences, config = self._graph, self.sequences, self._config
        width = config.decoder.width
        tokens = sequences.shaped(self._twice(rows), config.rows, width)
        tokens = sequences.concat([self._conditions, tokens], axis=0)
        tokens = sequences.rows(graph.op("Add", tokens, self._positions), self._count, width)
        conditions = (graph.op("Add", self._said, time) for time in (now, clean))
        found = sequences.shaped(self.denoiser.decoded(tokens, *conditions), self._count, UNIFIED_WIDTH)
        found = sequences.split(found, [CONDITIONS, config.rows], axis=0)[1]
        found = sequences.rows(found, config.rows, UNIFIED_WIDTH)
        if self._branches == 1:
            return found
        with_it, without = graph.split(found, [graph.each.count * config.rows] * 2, axis=0)
        steered = graph.op("Mul", graph.op("Sub", with_it, without), graph.floats(self._scale))
        return graph.op("Add", without, steered)

    def _twice(self, rows: str) -> str:
        return self._graph.concat([rows] * self._branches, axis=0)

    def _locked(self, lock: PrefixLock) -> str:
        """Which tokens of each sequence are locked: of the conditions none."""
        graph, each, rows = self._graph, self._graph.each, self._config.rows
        never = each.same(graph.op("Less", graph.integers(np.zeros((CONDITIONS, 1))), graph.integers(0)), CONDITIONS, 1)
        locked = each.rows(each.concat([never, lock.each], axis=0), CONDITIONS + rows, 1)
        return self.sequences.shaped(self._twice(locked), CONDITIONS + rows, 1)
