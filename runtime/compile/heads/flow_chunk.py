"""The chunk graph of a flow head: noise to rows in K Euler steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.compile.heads.denoiser import Denoiser, RowEmbedding
from unichunk.runtime.compile.heads.head_config import FlowHead
from unichunk.runtime.compile.prefix_lock import PrefixLock
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.heads.head_weights import HeadWeights


def build_flow_chunk(graph: Graph, weights: HeadWeights, steps: int, *, guided: bool = False) -> None:
    """Inputs `noise`, `previous_chunk`, `delay`, the prefix graph's outputs; output `actions`.

    Locked rows are clean and at time 1 before and in every step, as in Being-H0.5. A guided graph has the input
    `overlap` besides: all rows are at the same time, steered towards the running plan, and locked at the end alone.

    Args:
        graph: Empty.
        weights: Of the checkpoint.
        steps: K.
        guided: Whether rows are steered.
    """
    config, each = weights.config, graph.each
    head, sizes, rows = config.head, config.decoder, config.rows
    assert isinstance(head, FlowHead)
    noise = each.input("noise", (1, rows, UNIFIED_WIDTH), "float32")
    lock, embedding = PrefixLock(graph, rows), RowEmbedding(graph, weights)
    width = sizes.width // sizes.heads
    shapes = (sizes.heads, width, config.queries), (sizes.heads, config.queries, width)
    keys, values = (
        [each.input(f"{name}_{layer}", shape, graph.precision.type) for layer in range(sizes.layers)]
        for name, shape in zip(("keys", "values"), shapes, strict=True)
    )
    denoiser = Denoiser(graph, weights, each.count, lock.each, rows)
    denoiser.attend_to(keys, values)
    *times, done = denoiser.timed([*(int(step / steps * head.buckets) for step in range(steps)), head.buckets])
    positions = graph.weight(weights.vector("decoder.positions"))
    guidance = lock.guidance() if guided else None
    state = graph.reshape(noise, each.count * rows, UNIFIED_WIDTH)
    state = lock.locked(state) if guidance is None else embedding.masked(state)
    for step, now in enumerate(times):
        tokens = each.shaped(embedding.embedded(state), rows, sizes.width)
        tokens = each.rows(graph.op("Add", tokens, positions), rows, sizes.width)
        if guidance is None:
            velocity = denoiser.decoded(tokens, now, done)
            state = graph.op("Add", state, graph.op("Mul", velocity, graph.floats(1.0 / steps)))
            state = lock.locked(embedding.masked(state))
        else:
            velocity = embedding.masked(denoiser.decoded(tokens, now, now))
            state = guidance.advanced(state, velocity, step, steps)
    state = lock.finally_locked(state)
    each.output("actions", each.shaped(state, rows, UNIFIED_WIDTH), (rows, UNIFIED_WIDTH), "float32")
