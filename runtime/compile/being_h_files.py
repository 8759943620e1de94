"""A Being-H0.5 checkpoint's plan to the files of a bundle."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unichunk.runtime.compile.checkpoint import TOKENIZER_FILE
from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
from unichunk.runtime.compile.chunk import build_chunk
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.head import head_keys_values
from unichunk.runtime.compile.prefix import build_prefix
from unichunk.runtime.compile.thought_step import build_thought_step
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile
from unichunk.runtime.policy.manifest import BatchedGraphs, ChunkGraph, Graphs
from unichunk.runtime.policy.manifest import Graph as GraphEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.runtime.compile.compile_plan import CompilePlan
    from unichunk.runtime.compile.variants import Variant
    from unichunk.runtime.compile.weight_file import Weight
    from unichunk.runtime.policy.manifest import Manifest


def write_files(plan: CompilePlan, folder: Path) -> Manifest:
    """All files of a bundle but its manifest, which is returned."""
    graphs = _write_graphs(plan, folder)
    shutil.copyfile(plan.checkpoint.tokenizer_file, folder / TOKENIZER_FILE)
    return plan.manifest(graphs)


def _write_graphs(plan: CompilePlan, folder: Path) -> Graphs:
    """The weight file and all graphs; weights are written as the graphs come to need them."""
    with (folder / WEIGHT_FILE).open("wb") as stream:
        file = WeightFile(stream)
        weights = CheckpointWeights(plan.checkpoint.config, plan.checkpoint.tensor, file, plan.precision)
        writer = _GraphWriter(plan, folder, weights, head_keys_values(weights, plan.sequence.head))
        prefix, *others = (writer.prefix(views) for views in plan.sequences)
        chunks = tuple(writer.chunk(variant) for variant in plan.variants)
        graphs = Graphs(prefix=prefix, chunks=chunks, other_prefixes=tuple(others))
        pairs = [pair for pair in zip(plan.variants, chunks, strict=True) if pair[1] in graphs.batchable]
        batched = []
        for size in plan.batches:
            of_prefix = writer.prefix(plan.default.views, size).file
            of_chunks = tuple(writer.chunk(variant, size).file for variant, _ in pairs)
            batched.append(BatchedGraphs(size=size, prefix=of_prefix, chunks=of_chunks))
        token = writer.token()
    return Graphs(prefix=prefix, chunks=chunks, batched=tuple(batched), other_prefixes=tuple(others), token=token)


@dataclass(frozen=True)
class _GraphWriter:
    """Builds the graphs of a plan and writes them.

    Attributes:
        plan: What is asked for.
        folder: Where they go.
        weights: Of the checkpoint.
        head: Keys and values of the head's tokens, by layer.
    """

    plan: CompilePlan
    folder: Path
    weights: CheckpointWeights
    head: Sequence[tuple[Weight, Weight]]

    def prefix(self, views: int, batch: int = 1) -> GraphEntry:
        """The prefix graph for a number of views, for a number of requests at once."""
        graph = self._graph("prefix" if views == self.plan.default.views else f"prefix_views{views}", batch)
        build_prefix(graph, self.weights, self.plan.sequences[views], self.head, self.plan.places.state)
        return GraphEntry(**self._written(graph))

    def chunk(self, variant: Variant, batch: int = 1) -> ChunkGraph:
        """A chunk graph, for a number of requests at once."""
        plan = self.plan
        graph = self._graph(variant.name(plan.default), batch)
        sequence = plan.sequences[variant.views]
        build_chunk(
            graph,
            self.weights,
            sequence,
            variant.steps,
            variant.rounds,
            plan.directions,
            guided=variant.guided,
            places=plan.places.action,
        )
        return ChunkGraph(**variant.entry(plan.default), **self._written(graph))

    def token(self) -> GraphEntry | None:
        """The token graph behind the first prefix graph, of a checkpoint that writes text before it acts."""
        plan, most = self.plan, self.weights.config.thought_tokens
        if not most:
            return None
        graph = self._graph("token", 1)
        build_thought_step(graph, self.weights, plan.sequence, most)
        return GraphEntry(**self._written(graph))

    def _graph(self, name: str, batch: int) -> Graph:
        return Graph(name if batch == 1 else f"{name}_batch{batch}", self.plan.precision, self.weights.file, batch)

    def _written(self, graph: Graph) -> dict[str, Any]:
        """Writes a graph; its file and signature."""
        file = f"{graph.name}.onnx"
        graph.save(self.folder / file)
        return {"file": file, "inputs": tuple(graph.inputs), "outputs": tuple(graph.outputs)}
