"""The prefix graph of a policy with action queries: an observation to what the head needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.heads.blocks import Blocks
from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead
from unichunk.runtime.compile.sequence import MASKED
from unichunk.runtime.compile.vision import Vision
from unichunk.runtime.policy.optional_inputs import FIELDS_OF_VIEW, STATE_MASK
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.heads.head_weights import HeadWeights


def build_head_prefix(graph: Graph, weights: HeadWeights) -> None:
    """Inputs `images`, `tokens`, `state` and those that the configuration asks for; outputs by head.

    - rectified flow: `keys_<layer>` (heads, d, Q) and `values_<layer>` (heads, Q, d) of what the rows attend to;
    - DDIM: `condition` (1, w) of the query, `no_condition` is a weight; `state_token` (1, w);
    - regression: `queried` (Q, h).

    Args:
        graph: Empty.
        weights: Of the checkpoint.
    """
    context = _Context(graph, weights)
    config, each = weights.config, graph.each
    queried = context.queried()
    if isinstance(config.head, FlowHead):
        _give_keys_and_values(graph, weights, queried)
    elif isinstance(config.head, DdimHead):
        width = config.decoder.width
        condition = context.blocks.linear("decoder.condition", queried)
        each.output("condition", each.shaped(condition, 1, width), (1, width), "float32")
        each.output("state_token", each.shaped(context.state(), 1, width), (1, width), "float32")
    else:
        shape = (config.queries, config.context.width)
        each.output("queried", each.shaped(queried, *shape), shape, "float32")


def _give_keys_and_values(graph: Graph, weights: HeadWeights, queried: str) -> None:
    config, type_name = weights.config, graph.precision.type
    sizes, count = config.decoder, config.queries
    blocks = Blocks(graph, weights, sizes, graph.each.count)
    head = sizes.width // sizes.heads
    for layer in range(sizes.layers):
        both = blocks.linear(f"decoder.layers.{layer}.cross.key_value", queried)
        keys, values = graph.split(both, [sizes.width] * 2, axis=1)
        graph.each.output(f"keys_{layer}", blocks.keys(keys, count), (sizes.heads, head, count), type_name)
        graph.each.output(f"values_{layer}", blocks.values(values, count), (sizes.heads, count, head), type_name)


class _Context:
    """Builds the context: images, state, fields of view, text and queries in one sequence."""

    def __init__(self, graph: Graph, weights: HeadWeights) -> None:
        config, each = weights.config, graph.each
        self.graph = graph
        self.weights = weights
        self.config = config
        self.blocks = Blocks(graph, weights, config.context, each.count)
        size = config.vit.image_size
        self._images = each.input("images", (config.views, 3, size, size), "float32")
        self._text = each.input("tokens", (1, config.max_text), "int64")
        self._state = each.rows(each.input("state", (1, UNIFIED_WIDTH), "float32"), 1, UNIFIED_WIDTH)
        self._validity = self._angles = ""
        if config.state_validity:
            self._validity = each.rows(each.input(STATE_MASK, (1, UNIFIED_WIDTH), "float32"), 1, UNIFIED_WIDTH)
        if config.fields_of_view:
            self._angles = each.rows(each.input(FIELDS_OF_VIEW, (config.views, 2), "float32"), config.views, 2)

    def state(self) -> str:
        """The state's token, (1, width of where it goes)."""
        graph, state = self.graph, self._state
        if self._validity:
            state = graph.concat([graph.op("Mul", state, self._validity), self._validity], axis=1)
        return self.blocks.two_layers("state_encoder", state)

    def queried(self) -> str:
        """What the queries found, (Q, h)."""
        graph, each, config, blocks = self.graph, self.graph.each, self.config, self.blocks
        width, count = config.context.width, config.tokens
        x = graph.op("Add", self._embedded(), graph.weight(self.weights.vector("positions")))
        x, mask = each.rows(x, count, width), self._mask()
        for layer in range(config.context.layers):
            name = f"context.{layer}"
            attended = blocks.self_attention(f"{name}.attn", blocks.norm(f"{name}.norm1", x), count, mask)
            x = graph.op("Add", x, attended)
            x = graph.op("Add", x, blocks.two_layers(f"{name}.mlp", blocks.norm(f"{name}.norm2", x)))
        found = each.shaped(blocks.norm("context_norm", x), count, width)
        found = each.split(found, [count - config.queries, config.queries], axis=0)[1]
        return each.rows(found, config.queries, width)

    def _embedded(self) -> str:
        """All tokens, (n, h)."""
        graph, each, config = self.graph, self.graph.each, self.config
        width = config.context.width
        seen = Vision(graph, self.weights, each.count * config.views).features(self._images)
        parts = [each.shaped(seen, config.image_tokens, width)]
        if config.state_in_context:
            parts.append(each.shaped(self.state(), 1, width))
        if self._angles:
            angles = self.blocks.two_layers("field_of_view_encoder", self._angles)
            parts.append(each.shaped(angles, config.views, width))
        # Padding looks up some token: nobody attends to it.
        found = each.reshape(graph.op("Max", self._text, graph.integers([[0]])), config.max_text)
        parts.append(each.looked_up(self.weights.operand("embed_tokens.weight"), found))
        queries = graph.weight(self.weights.vector("queries"))
        parts.append(each.same(queries, config.queries, width))
        return each.concat(parts, axis=0)

    def _mask(self) -> str:
        """What is added to scores so that padding is not seen: (1, n), or (B, 1, 1, n) of several requests."""
        graph, each, config = self.graph, self.graph.each, self.config
        padded = graph.op("Greater", graph.integers(0), self._text)
        text = graph.op("Where", padded, graph.floats([[MASKED]]), graph.floats([[0.0]]))
        before = config.tokens - config.max_text - config.queries
        sides = [each.same(graph.floats(np.zeros((1, size))), 1, size) for size in (before, config.queries)]
        return each.shaped(each.concat([sides[0], text, sides[1]], axis=1), 1, 1, config.tokens)
