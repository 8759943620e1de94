"""The token graph: one step of writing a thought, greedily, behind an observation that the prefix graph has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.decoder import DecoderLayer, KeysValues, Tokens
from unichunk.runtime.compile.positions import rotary_tables
from unichunk.runtime.compile.prefix import grouped_mask
from unichunk.runtime.compile.sequence import MASKED

if TYPE_CHECKING:
    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.sequence import TokenSequence


def build_thought_step(graph: Graph, weights: CheckpointWeights, sequence: TokenSequence, most: int) -> None:
    """The language model's next token, and its keys and values in their place among those written so far.

    A thought stands where the actions would, behind the last token of the text. That token is the first that is given
    here: the prefix graph keeps only its keys and values, not what it says comes next. So its own place in the prefix
    is hidden, and it stands at place 0 of what is written.

    Inputs `token` () and `place` () int64, `tokens` (1, L) int64 as the prefix graph had them, its outputs
    `keys_<layer>` and `values_<layer>`, and `written_keys_<layer>` (kv heads, head_dim, R) and `written_values_<layer>`
    (kv heads, R, head_dim) float32; outputs `next` () int64, and `longer_keys_<layer>`, `longer_values_<layer>` with
    the token's own at `place`.

    Args:
        graph: Empty, for one request.
        weights: Of the checkpoint.
        sequence: The tokens.
        most: R, longest thought.
    """
    language, prefix = weights.config.language, sequence.prefix
    token, place = graph.input("token", (), "int64"), graph.input("place", (), "int64")
    text = graph.input("tokens", (1, sequence.max_text), "int64")
    given = graph.op("Cast", graph.op("Greater", text, graph.integers(-1)), to=7)
    last = graph.op("Sub", graph.op("ReduceSum", given, graph.integers([0, 1]), keepdims=0), graph.integers(1))
    x = graph.looked_up(weights.operand("language_model.model.embed_tokens.weight"), graph.reshape(token, 1))
    at = graph.reshape(graph.op("Add", last, place), 1)
    positions = sequence.text_position + np.arange(sequence.max_text + most)
    tables = rotary_tables(positions, language.head_dim, language.rope_theta)
    cos, sin = (graph.op("Gather", graph.floats(table[:, None]), at, axis=0) for table in tables)
    tokens = Tokens(x, 1, expert=False, cos=cos, sin=sin)
    mask = _mask(graph, sequence, most, last, place)
    mask = grouped_mask(graph, mask, language.heads // language.kv_heads, 1, prefix + most)
    kept = {"keys": (language.kv_heads, language.head_dim, -1), "values": (language.kv_heads, -1, language.head_dim)}
    for layer in range(language.layers):
        block = DecoderLayer(graph, weights, layer)
        queries, own = block.heads([tokens])
        segments = []
        for name, value in (("keys", own.keys), ("values", own.values)):
            seen, longest = (tuple(n if size < 0 else size for size in kept[name]) for n in (prefix, most))
            before = graph.input(f"{name}_{layer}", seen, graph.precision.type)
            written = graph.input(f"written_{name}_{layer}", longest, "float32")
            here = graph.op("Equal", graph.integers(_along(kept[name], most)), place)
            longer = graph.op("Where", here, graph.wide(value), written)
            graph.output(f"longer_{name}_{layer}", longer, longest, "float32")
            segments.append((before, graph.narrow(longer)))
        (keys, longer_keys), (values, longer_values) = segments
        both = [KeysValues(keys, values, prefix), KeysValues(longer_keys, longer_values, most)]
        tokens = block.finished(tokens, block.attend(queries, both, mask, 1))
    norm = graph.weight(weights.vector("language_model.model.norm.weight"))
    normed = graph.rms_norm(tokens.x, norm, language.norm_eps)
    scores = graph.linear(normed, weights.operand("language_model.lm_head.weight"))
    best = graph.op("ArgMax", scores, axis=1, keepdims=0)
    graph.output("next", graph.op("Reshape", best, graph.integers(np.zeros(0))), (), "int64")


def _mask(graph: Graph, sequence: TokenSequence, most: int, last: str, place: str) -> str:
    """What the token may see, (1, P + R): the prefix without its last token and padding, then itself and before."""

    def hidden(which: str) -> str:
        return graph.op("Where", which, graph.floats([[MASKED]]), graph.floats([[0.0]]))

    text = hidden(graph.op("GreaterOrEqual", graph.integers([np.arange(sequence.max_text)]), last))
    written = hidden(graph.op("Greater", graph.integers([np.arange(most)]), place))
    before = graph.floats(np.zeros((1, sequence.prefix - sequence.max_text - 1)))
    return graph.concat([before, text, graph.floats([[0.0]]), written], axis=1)


def _along(shape: tuple[int, ...], most: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Places 0 ... R - 1 along the axis of a cache that they lie on."""
    return np.arange(most).reshape([most if size < 0 else 1 for size in shape])
