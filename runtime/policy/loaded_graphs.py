"""The graphs of a bundle on engines, each built when a policy first needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.policy.batch_choice import worthwhile
from unichunk.runtime.policy.batching import BatchEngines, runs
from unichunk.runtime.policy.engines.choice import build_engine
from unichunk.runtime.policy.engines.graph_file import graph_file
from unichunk.runtime.policy.engines.options import CPU
from unichunk.runtime.policy.graph_choice import chunk_graph, prefix_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Engine, Value
    from unichunk.runtime.policy.engines.options import EngineOptions
    from unichunk.runtime.policy.manifest import ChunkGraph, Graph, Manifest

WARM_UPS: Final = 2


@dataclass
class GraphPair:
    """The engines of a robot's two graphs.

    Attributes:
        prefix: Engine of the prefix graph.
        chunk: Engine of the chunk graph.
        token: Engine of the token graph, of a policy that thinks.
        batches: Engines for several requests at once, each of another size, and how long they take, as a multiple of
            one request.
    """

    prefix: Engine
    chunk: Engine
    token: Engine | None = None
    batches: Mapping[BatchEngines, float] = field(default_factory=dict)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, Value]:
        """Both graphs for one request."""
        return self.chunk.run({**inputs, **self.prefix.run(inputs)})

    def run_batch(self, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[Mapping[str, Value]]:
        """Both graphs for several requests, as many at once as graphs are loaded for, and in turn if there are more."""
        outputs: list[Mapping[str, Value]] = []
        several = {engines.size: engines for engines in self.batches}
        for size in runs(len(inputs), {1: 1.0} | {engines.size: cost for engines, cost in self.batches.items()}):
            part = inputs[len(outputs) : len(outputs) + size]
            outputs += several[size].run(part) if size in several else [self.run(part[0])]
        return outputs


@dataclass(frozen=True)
class Variant:
    """Which of a bundle's chunk graphs a policy runs.

    Attributes:
        refinement_rounds: N.
        steps: K; None for the manifest's.
        guided: Whether rows are steered towards the running plan.
    """

    refinement_rounds: int = 0
    steps: int | None = None
    guided: bool = False


PLAIN: Final = Variant()
"""Without refinement or guidance, with the manifest's steps."""


class LoadedGraphs:
    """A bundle's graphs on engines, built when a robot with that number of views is first loaded.

    Args:
        directory: The bundle's folder, read and checked.
        manifest: What it says.
        options: Which engine runs them, and how.
        variant: Which chunk graph.
        max_batch: Most requests to be computed at once.

    Attributes:
        manifest: The bundle's description.
        variant: Which chunk graph.
        pairs: V -> the engines for robots with so many views.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        options: EngineOptions = CPU,
        variant: Variant = PLAIN,
        max_batch: int = 1,
    ) -> None:
        self.manifest = manifest
        self.variant = variant
        self.pairs: dict[int, GraphPair] = {}
        self._directory = directory
        self._options = options
        self._max_batch = max_batch

    def chunk_graph(self, views: int) -> ChunkGraph:
        """The chunk graph for robots with so many views.

        Raises:
            BundleError: The bundle has none of this variant.
        """
        rounds, steps, guided = self.variant.refinement_rounds, self.variant.steps, self.variant.guided
        origin = f"{self._directory}: "
        return chunk_graph(self.manifest, views, steps=steps, rounds=rounds, guided=guided, origin=origin)

    def build(self, views: int, example: Mapping[str, NDArray[Any]]) -> GraphPair:
        """Engines for robots with so many views, and run them for the first times; takes seconds to minutes.

        Args:
            views: V.
            example: Inputs of both graphs, of the right names, shapes and types.

        Raises:
            BundleError, EngineError: One line, see `build_engine`.
        """
        chunk = self.chunk_graph(views)
        prefix = self._engine(prefix_graph(self.manifest, views), resident=True)
        pair = GraphPair(prefix, self._engine(chunk), self._token(views))
        self._warm_up(lambda: pair.run(example))
        self._warm_up(lambda: self._first_token(pair, example))
        pair.batches = worthwhile(lambda: pair.run(example), self._batches(views, chunk, example), example)
        self.pairs[views] = pair
        return pair

    def _batches(self, views: int, chunk: ChunkGraph, example: Mapping[str, NDArray[Any]]) -> Iterator[BatchEngines]:
        """Engines for several requests at once, the smallest first; each is built when it is asked for."""
        graphs = self.manifest.graphs
        if prefix_graph(self.manifest, views) is not graphs.prefix or chunk not in graphs.batchable:
            return
        place = graphs.batchable.index(chunk)
        for batch in graphs.batched:
            if batch.size <= self._max_batch:
                prefix = self._engine(batch.of(graphs.prefix, batch.prefix), resident=True)
                engines = BatchEngines(batch.size, prefix, self._engine(batch.of(chunk, batch.chunks[place])))
                self._warm_up(partial(engines.run, [example]))
                yield engines

    def _token(self, views: int) -> Engine | None:
        """Of the token graph, which reads what the first prefix graph gives, and no other one's."""
        graphs = self.manifest.graphs
        if graphs.token is None or prefix_graph(self.manifest, views) is not graphs.prefix:
            return None
        return self._engine(graphs.token, resident=True)

    def _first_token(self, pair: GraphPair, example: Mapping[str, NDArray[Any]]) -> None:
        """Run the token graph, if there is one, as a reasoner does: on features that are kept."""
        graph = self.manifest.graphs.token
        if pair.token is None or graph is None:
            return
        read = pair.prefix.kept(pair.prefix.run(example))
        nothing = {
            tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in graph.inputs if tensor.name not in read
        }
        pair.token.run({**nothing, **read})

    def _warm_up(self, run: Callable[[], object]) -> None:
        """What only the first runs take: a GPU's graphs are recorded then, and its kernels loaded."""
        for _ in range(0 if self._options.name == CPU.name else WARM_UPS):
            run()

    def _engine(self, graph: Graph, *, resident: bool = False) -> Engine:
        return build_engine(graph_file(self._directory, self.manifest, graph, resident=resident), self._options)
