"""The chunk graphs: noise to actions, in 1 + N rounds of K Euler steps that compute the action tokens only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.compile.actions import Actions
from unichunk.runtime.compile.decoder import DecoderLayer, KeysValues, Tokens, expert_output_norm
from unichunk.runtime.compile.mixture import Choice
from unichunk.runtime.compile.mpg import Gating
from unichunk.runtime.compile.prefix import grouped_masks
from unichunk.runtime.compile.prefix_lock import PrefixLock
from unichunk.runtime.compile.sequence import causal_mask
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.sequence import TokenSequence


class Sampler:
    """Builds 1 + N rounds of K Euler steps around whatever gives the velocity.

    Inputs `noise` (1 + N, T, 200), `previous_chunk` (T, 200), `delay` (); outputs `actions` (T, 200) and, where N > 0,
    `gates` and `discrepancies` (N, K); all of each request. A guided one has the input `overlap` () besides.

    Args:
        graph: Where the nodes go.
        weights: Of the checkpoint.
        rows: T.
        steps: K.
        rounds: N.
        directions: Unit vectors (M, h) of the discrepancy; needed where N > 0.
        guided: Whether rows are steered towards the running plan, all at the same time, and locked at the end of a
            round alone; else locked in every step.
        places: For how many slots of the actions there are adapters, in a checkpoint that has them.
    """

    def __init__(
        self,
        graph: Graph,
        weights: CheckpointWeights,
        rows: int,
        steps: int,
        rounds: int,
        directions: NDArray[np.float32] | None,
        *,
        guided: bool = False,
        places: int = UNIFIED_WIDTH,
    ) -> None:
        self.graph = graph
        self.weights = weights
        self.rows = rows
        self.steps = steps
        self.rounds = rounds
        self._noise = graph.each.input("noise", (1 + rounds, rows, UNIFIED_WIDTH), "float32")
        self._lock = PrefixLock(graph, rows)
        self._actions = Actions(graph, weights, self._lock, steps, places)
        self._guidance = self._lock.guidance() if guided else None
        self._gating: Gating | None = None
        if rounds:
            assert weights.config.mpg is not None
            assert directions is not None
            self._gating = Gating(graph, weights, weights.config.mpg, rows, directions)

    def build(self, hidden: Callable[[str], str]) -> None:
        """Unroll all rounds.

        Args:
            hidden: Action embeddings (T, e) -> the expert's hidden states behind the last layer (T, e); rows of all
                requests one below the other.
        """
        graph, each, gates, discrepancies = self.graph, self.graph.each, [], []
        norm = graph.weight(expert_output_norm(self.weights))
        anchor, rows = "", ""
        for index, noise in enumerate(each.split(self._noise, [1] * (1 + self.rounds), axis=0)):
            rows = graph.reshape(noise, each.count * self.rows, UNIFIED_WIDTH)
            if self._guidance is None:
                rows = self._lock.locked(rows)
            for step in range(self.steps):
                embedded = self._actions.embedded(rows, step, together=self._guidance is not None)
                if index:
                    assert self._gating is not None
                    embedded, gate, discrepancy = self._gating.gated(embedded, anchor)
                    gates.append(gate)
                    discrepancies.append(discrepancy)
                normed = graph.rms_norm(hidden(embedded), norm, self.weights.config.expert.norm_eps)
                rows = self._advanced(rows, normed, step, last_round=index == self.rounds)
            if index < self.rounds:
                assert self._gating is not None
                anchor = self._gating.anchored(self._actions.anchor(rows))
        shape = (self.rows, UNIFIED_WIDTH)
        each.output("actions", each.shaped(rows, *shape), shape, "float32")
        for name, values in (("gates", gates), ("discrepancies", discrepancies)):
            if values:
                shape = (self.rounds, self.steps)
                single = [each.reshape(value, 1) for value in values]
                each.output(name, each.reshape(each.concat(single, axis=0), *shape), shape, "float32")

    def _advanced(self, rows: str, normed: str, step: int, *, last_round: bool) -> str:
        """The rows after an Euler step, locked where they have to be."""
        last = step == self.steps - 1
        if self._guidance is None:
            rows = self._actions.advanced(rows, normed)
        else:
            rows = self._guidance.advanced(rows, self._actions.velocity(normed), step, self.steps)
            if not last:
                return rows
        return self._lock.finally_locked(rows) if last and last_round else self._lock.locked(rows)


def build_chunk(
    graph: Graph,
    weights: CheckpointWeights,
    sequence: TokenSequence,
    steps: int,
    rounds: int,
    directions: NDArray[np.float32] | None,
    *,
    guided: bool = False,
    places: int = UNIFIED_WIDTH,
) -> None:
    """Inputs of the sampler and all outputs of the prefix graph; outputs of the sampler.

    With adapters it has the input `action_mask` besides.

    Args:
        graph: Empty.
        weights: Of the checkpoint.
        sequence: The tokens.
        steps: K.
        rounds: N.
        directions: Unit vectors (M, h); needed where N > 0.
        guided: See `Sampler`.
        places: See `Sampler`.
    """
    language, rows, prefix, each = weights.config.language, sequence.rows, sequence.prefix, graph.each
    sampler = Sampler(graph, weights, rows, steps, rounds, directions, guided=guided, places=places)
    seen = []
    for layer in range(language.layers):
        shapes = (language.kv_heads, language.head_dim, prefix), (language.kv_heads, prefix, language.head_dim)
        keys = each.input(f"keys_{layer}", shapes[0], graph.precision.type)
        values = each.input(f"values_{layer}", shapes[1], graph.precision.type)
        seen.append(KeysValues(keys, values, prefix))
    mask = each.input("mask", (1, prefix), "float32")
    tables = (each.input(f"rotary_{name}", (rows, 1, language.head_dim), "float32") for name in ("cos", "sin"))
    cos, sin = (each.shaped(table, 1, rows, 1, language.head_dim) for table in tables)
    causal = causal_mask(np.arange(rows), np.arange(rows))
    mask = each.expand(mask, rows, prefix)
    mask = each.concat([mask, each.same(graph.floats(causal), rows, rows)], axis=1)
    group = language.heads // language.kv_heads
    mask = each.shaped(grouped_masks(each, mask, group, rows, prefix + rows), 1, rows * group, prefix + rows)
    mixture = weights.config.mixture
    choice = Choice.given(graph, mixture) if mixture is not None else None
    layers = [DecoderLayer(graph, weights, layer, choice) for layer in range(language.layers)]

    def hidden(embedded: str) -> str:
        tokens = Tokens(embedded, rows, expert=True, cos=cos, sin=sin)
        for layer, before in zip(layers, seen, strict=True):
            queries, own = layer.heads([tokens])
            tokens = layer.finished(tokens, layer.attend(queries, [before, own], mask, rows))
        return tokens.x

    sampler.build(hidden)
