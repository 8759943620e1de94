"""A checkpoint as one graph that caches nothing: what the cached graphs are measured against.

The whole sequence goes through all layers in every Euler step of every round, as the published code does; only the
images are encoded once. Same weights, same layer builders, same engine. Two things make this graph faster than the
published code, so what caching gains is not overstated: the closing token behind the actions is left out, and an engine
drops what nobody uses of the last layer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
from unichunk.runtime.compile.chunk import Sampler
from unichunk.runtime.compile.compile_plan import plan_compilation
from unichunk.runtime.compile.decoder import DecoderLayer, Tokens
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.prefix import PrefixBuilder, grouped_mask
from unichunk.runtime.compile.sequence import MASKED, causal_mask
from unichunk.runtime.compile.vision import Vision
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.compile.compile_options import CompileOptions
    from unichunk.runtime.compile.sequence import TokenSequence


def write_uncached(checkpoint: Path, folder: Path, options: CompileOptions) -> Path:
    """Write the graph of a checkpoint, and its weights beside it.

    Args:
        checkpoint: Folder of the checkpoint.
        folder: An empty folder for the two files.
        options: As for `compile_checkpoint`; its refinement rounds are the graph's.

    Returns:
        The graph's file. Inputs: `images`, `tokens`, `state`, `noise`, `previous_chunk`, `delay`; outputs as those of
        a chunk graph.
    """
    plan = plan_compilation(checkpoint, options)
    with (folder / WEIGHT_FILE).open("wb") as stream:
        file = WeightFile(stream)
        graph = Graph("uncached", plan.precision, file)
        weights = CheckpointWeights(plan.checkpoint.config, plan.checkpoint.tensor, file, plan.precision)
        build_uncached(graph, weights, plan.sequence, plan.steps, plan.rounds, plan.directions)
        graph.save(folder / "uncached.onnx")
    return folder / "uncached.onnx"


def build_uncached(
    graph: Graph,
    weights: CheckpointWeights,
    sequence: TokenSequence,
    steps: int,
    rounds: int,
    directions: NDArray[np.float32] | None,
) -> None:
    """Nodes of the whole policy; arguments as for `build_chunk`."""
    builder, config = PrefixBuilder(graph, weights, sequence), weights.config
    images, text, state = builder.inputs()
    positions = np.concatenate([np.arange(len(sequence.head)), sequence.language_positions])
    features = Vision(graph, weights, sequence.views).features(images)
    after = (*sequence.between, *sequence.after_state)
    understood = builder.tokens(sequence.head, features, after, text, positions)
    proprio = builder.state(state)
    cos, sin = builder.action_rotary(text)
    mask = _whole_mask(builder, text)
    layers = [DecoderLayer(graph, weights, layer) for layer in range(config.language.layers)]
    actions = Tokens("", sequence.rows, expert=True, cos=cos, sin=sin)
    # STATE and ACTION go through the expert together.
    acting = replace(
        proprio,
        count=1 + sequence.rows,
        cos=graph.concat([proprio.cos, actions.cos], axis=0),
        sin=graph.concat([proprio.sin, actions.sin], axis=0),
    )

    def hidden(embedded: str) -> str:
        # Plus nothing, but nothing of this step's: else an engine would share the first layer's products between steps.
        nothing = graph.op("ReduceSum", embedded, graph.integers([0, 1]), keepdims=1)
        fresh = graph.op("Add", understood.x, graph.op("Mul", nothing, graph.floats(0.0)))
        tokens = [replace(understood, x=fresh), replace(acting, x=graph.concat([proprio.x, embedded], axis=0))]
        for layer in layers:
            queries, seen = layer.heads(tokens)
            attended = graph.split(
                layer.attend(queries, [seen], mask, sequence.tokens), [part.count for part in tokens], axis=0
            )
            tokens = [layer.finished(part, mixed) for part, mixed in zip(tokens, attended, strict=True)]
        return graph.split(tokens[1].x, [1, sequence.rows], axis=0)[1]

    Sampler(graph, weights, sequence.rows, steps, rounds, directions).build(hidden)


def _whole_mask(builder: PrefixBuilder, text: str) -> str:
    """Causal over all tokens (language, STATE, ACTION), without padding for the actions, (all * G, all)."""
    graph, sequence, language = builder.graph, builder.sequence, builder.config.language
    known, rows = sequence.key_positions, sequence.rows
    before = np.concatenate([causal_mask(known, known), np.full((len(known), rows), MASKED, np.float32)], axis=1)
    own = graph.floats(causal_mask(np.arange(rows), np.arange(rows)))
    padding = graph.op("Expand", builder.action_mask(text), graph.integers([rows, len(known)]))
    mask = graph.concat([graph.floats(before), graph.concat([padding, own], axis=1)], axis=0)
    return grouped_mask(graph, mask, language.heads // language.kv_heads, sequence.tokens, sequence.tokens)
