"""The prefix graph: an observation to the keys and values of everything that stands before the actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.adapters import SlotAdapters
from unichunk.runtime.compile.decoder import DecoderLayer, KeysValues, Tokens
from unichunk.runtime.compile.each_request import EachRequest
from unichunk.runtime.compile.mixture import routed
from unichunk.runtime.compile.positions import rotary_tables
from unichunk.runtime.compile.sequence import MASKED, causal_mask
from unichunk.runtime.compile.vision import Vision
from unichunk.runtime.policy.optional_inputs import STATE_MASK
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.sequence import TokenSequence
    from unichunk.runtime.compile.weight_file import Weight


class PrefixBuilder:
    """Builds the nodes that depend on the observation alone.

    Args:
        graph: Where they go.
        weights: Of the checkpoint.
        sequence: The tokens.
        places: For how many slots of the state there are adapters, in a checkpoint that has them.
    """

    def __init__(
        self, graph: Graph, weights: CheckpointWeights, sequence: TokenSequence, places: int = UNIFIED_WIDTH
    ) -> None:
        self.graph = graph
        self.weights = weights
        self.config = weights.config
        self.sequence = sequence
        self._places = places

    def inputs(self) -> tuple[str, str, str]:
        """Declare `images`, `tokens`, `state`."""
        size, sequence, each = self.config.image_size, self.sequence, self.graph.each
        return (
            each.input("images", (sequence.views, 3, size, size), "float32"),
            each.input("tokens", (1, sequence.max_text), "int64"),
            each.input("state", (1, UNIFIED_WIDTH), "float32"),
        )

    def tokens(
        self, ids: Sequence[int], x: str, after: Sequence[int], text: str, positions: NDArray[np.int64]
    ) -> Tokens:
        """The language model's tokens: embeddings of ids, image features, embeddings of ids and of the padded text.

        Args:
            ids: Before the images.
            x: Image features of all requests' views.
            after: Between the images and the text.
            text: The `tokens` input.
            positions: Of all these.
        """
        graph, each, width = self.graph, self.graph.each, self.config.language.width
        embeddings = self.weights.operand("language_model.model.embed_tokens.weight")
        # Padding looks up some token: nobody attends to it.
        found = each.reshape(graph.op("Max", text, graph.integers([[0]])), self.sequence.max_text)
        found = each.concat([each.same(graph.integers(after), len(after)), found], axis=0) if after else found
        seen = each.shaped(x, self.sequence.images, width)
        parts = [seen, each.looked_up(embeddings, found)]
        if ids:
            head = graph.looked_up(embeddings, graph.integers(ids))
            parts.insert(0, each.same(head, len(ids), width))
        rows = each.rows(each.concat(parts, axis=0), len(positions), width)
        return self.placed(rows, positions, expert=False)

    def state(self, state: str) -> Tokens:
        """The STATE token, which the expert's weights see."""
        graph, name = self.graph, "proprio_encoder_robot"
        state = graph.each.rows(state, 1, UNIFIED_WIDTH)
        hidden = graph.linear(state, *self.weights.linear(f"{name}.layer1"))
        if self.config.adapter_rank:
            own = graph.each.input(STATE_MASK, (1, UNIFIED_WIDTH), "float32")
            adapters = SlotAdapters(graph, self.weights, own, self._places)
            hidden = graph.op("Add", hidden, adapters.encoded("state_encoder", state, 1))
        hidden = graph.op("Relu", hidden)
        x = graph.linear(hidden, *self.weights.linear(f"{name}.layer2"))
        return self.placed(x, [self.sequence.state_position], expert=True)

    def placed(self, x: str, positions: ArrayLike, *, expert: bool) -> Tokens:
        """Tokens at positions known at compile time, the same for all requests."""
        language = self.config.language
        cos, sin = rotary_tables(positions, language.head_dim, language.rope_theta)
        graph = self.graph
        return Tokens(x, len(cos), expert, graph.floats(cos[:, None]), graph.floats(sin[:, None]))

    def action_rotary(self, tokens: str) -> tuple[str, str]:
        """Rotary tables (T, 1, head_dim) of the action tokens, which follow the last token of the text."""
        graph, each, sequence, language = self.graph, self.graph.each, self.sequence, self.config.language
        positions = sequence.text_position + np.arange(sequence.max_text + sequence.rows)
        given = graph.op("Cast", graph.op("Greater", tokens, graph.integers(-1)), to=7)
        length = each.shaped(each.reduce("ReduceSum", given, [0, 1], keep=False), 1)
        at = graph.op("Add", graph.integers(np.arange(sequence.rows)), length)
        tables = rotary_tables(positions, language.head_dim, language.rope_theta)
        cos, sin = (graph.op("Gather", graph.floats(table[:, None]), at, axis=0) for table in tables)
        return cos, sin

    def action_mask(self, tokens: str) -> str:
        """What the action tokens may see of the prefix, (1, P): all but padding."""
        graph, each, sequence = self.graph, self.graph.each, self.sequence
        padded = graph.op("Greater", graph.integers(0), tokens)
        text = graph.op("Where", padded, graph.floats([[MASKED]]), graph.floats([[0.0]]))
        count = sequence.prefix - sequence.max_text - 1
        before = each.same(graph.floats(np.zeros((1, count))), 1, count)
        return each.concat([before, text, each.same(graph.floats([[0.0]]), 1, 1)], axis=1)


def grouped_mask(graph: Graph, mask: str, group: int, rows: int, columns: int) -> str:
    """A mask (rows, columns) for queries of which `group` at a time belong to a token, (rows * group, columns).

    It is known at compile time, or there is one request; `grouped_masks` does the same with masks of several.
    """
    return grouped_masks(EachRequest(graph, 1), mask, group, rows, columns)


def grouped_masks(each: EachRequest, mask: str, group: int, rows: int, columns: int) -> str:
    """The same for each request's own mask."""
    if group == 1:
        return mask
    mask = each.expand(each.reshape(mask, rows, 1, columns), rows, group, columns)
    return each.reshape(mask, rows * group, columns)


def build_prefix(
    graph: Graph,
    weights: CheckpointWeights,
    sequence: TokenSequence,
    head: Sequence[tuple[Weight, Weight]],
    places: int = UNIFIED_WIDTH,
) -> None:
    """Inputs `images`, `tokens`, `state`; outputs `keys_<layer>`, `values_<layer>`, `mask`, `rotary_cos`, `rotary_sin`.

    With adapters it has the input `state_mask` besides; with a mixture of experts, the outputs `experts` and
    `expert_gates`.

    Args:
        graph: Empty.
        weights: Of the checkpoint.
        sequence: The tokens.
        head: Keys and values of the head's tokens, by layer: they are the same for every observation.
        places: For how many slots of the state there are adapters.
    """
    builder = PrefixBuilder(graph, weights, sequence, places)
    images, text, state = builder.inputs()
    each = graph.each
    features = Vision(graph, weights, each.count * sequence.views).features(images)
    after = (*sequence.between, *sequence.after_state)
    positions = sequence.language_positions
    tokens = [builder.tokens((), features, after, text, positions), builder.state(state)]
    asking = np.append(positions, sequence.state_position)
    mask = graph.floats(causal_mask(asking, sequence.key_positions))
    language, shape = builder.config.language, graph.precision.type
    mask = grouped_mask(graph, mask, language.heads // language.kv_heads, len(asking), sequence.prefix)
    mixture = builder.config.mixture
    choice = routed(graph, weights, state, text, sequence.max_text) if mixture is not None else None
    for layer in range(language.layers):
        block = DecoderLayer(graph, weights, layer, choice)
        last = layer == language.layers - 1
        queries, own = ("", block.keys_values(tokens)) if last else block.heads(tokens)
        seen = _behind_head(graph, head[layer], own, sequence.prefix)
        sizes = (language.kv_heads, language.head_dim)
        each.output(f"keys_{layer}", seen.keys, (*sizes, seen.count), shape)
        each.output(f"values_{layer}", seen.values, (sizes[0], seen.count, sizes[1]), shape)
        if not last:
            width = language.heads * language.head_dim
            attended = each.shaped(block.attend(queries, [seen], mask, len(asking)), len(asking), width)
            split = each.split(attended, [len(positions), 1], axis=0)
            mixed = [each.rows(rows, part.count, width) for rows, part in zip(split, tokens, strict=True)]
            tokens = [block.finished(part, rows) for part, rows in zip(tokens, mixed, strict=True)]
    each.output("mask", builder.action_mask(text), (1, sequence.prefix), "float32")
    for name, table in zip(("rotary_cos", "rotary_sin"), builder.action_rotary(text), strict=True):
        each.output(name, table, (sequence.rows, 1, language.head_dim), "float32")
    if mixture is not None and choice is not None:
        choice.give(graph, mixture)


def _behind_head(graph: Graph, head: tuple[Weight, Weight], own: KeysValues, count: int) -> KeysValues:
    each = graph.each
    keys, values = (each.same(graph.weight(weight), *weight.shape) for weight in head)
    return KeysValues(each.concat([keys, own.keys], axis=2), each.concat([values, own.values], axis=1), count)
