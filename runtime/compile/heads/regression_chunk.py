"""The chunk graph of a regression head: queries to rows, and the prefix stitched in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.compile.heads.blocks import Blocks
from unichunk.runtime.compile.prefix_lock import PrefixLock
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.heads.head_weights import HeadWeights


def build_regression_chunk(graph: Graph, weights: HeadWeights) -> None:
    """Inputs `previous_chunk`, `delay`, `queried` of the prefix graph; output `actions`.

    Nothing is denoised, so nothing could be held while the other rows come about: those before the delay are the
    previous chunk's, and the others are what they would be without them.

    Args:
        graph: Empty.
        weights: Of the checkpoint.
    """
    config, each = weights.config, graph.each
    blocks, rows = Blocks(graph, weights, config.decoder, each.count), config.rows
    lock = PrefixLock(graph, rows)
    queried = each.input("queried", (config.queries, config.context.width), "float32")
    joined = config.queries // rows * config.context.width
    x = graph.reshape(queried, each.count * rows, joined)
    x = graph.gelu(blocks.linear("decoder.embed", blocks.norm("decoder.norm", x)))
    for layer in range(config.decoder.layers):
        name = f"decoder.layers.{layer}"
        x = graph.op("Add", x, blocks.two_layers(f"{name}.mlp", blocks.norm(f"{name}.norm", x)))
    x = lock.finally_locked(blocks.linear("decoder.out", blocks.norm("decoder.out_norm", x)))
    each.output("actions", each.shaped(x, rows, UNIFIED_WIDTH), (rows, UNIFIED_WIDTH), "float32")
