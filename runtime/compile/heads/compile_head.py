"""The checkpoint of a policy with action queries to a policy bundle."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from unichunk.runtime.compile.checkpoint_folder import TOKENIZER_FILE
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.heads.ddim_chunk import build_ddim_chunk
from unichunk.runtime.compile.heads.flow_chunk import build_flow_chunk
from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead
from unichunk.runtime.compile.heads.head_prefix import build_head_prefix
from unichunk.runtime.compile.heads.head_weights import HeadWeights
from unichunk.runtime.compile.heads.regression_chunk import build_regression_chunk
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile
from unichunk.runtime.policy.manifest import BatchedGraphs, ChunkGraph, Graphs
from unichunk.runtime.policy.manifest import Graph as GraphEntry

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.compile.heads.head_plan import HeadPlan
    from unichunk.runtime.policy.manifest import Manifest


def write_head_files(plan: HeadPlan, folder: Path) -> Manifest:
    """All files of a bundle but its manifest, which is returned."""
    with (folder / WEIGHT_FILE).open("wb") as stream:
        file, checkpoint = WeightFile(stream), plan.checkpoint
        writer = _GraphWriter(plan, folder, HeadWeights(checkpoint.config, checkpoint.tensor, file, plan.precision))
        prefix = writer.prefix(1)
        chunks = tuple(writer.chunk(steps, 1, guided=guided) for guided in plan.kinds for steps in plan.steps)
        batched = tuple(
            BatchedGraphs(
                size=size,
                prefix=writer.prefix(size).file,
                chunks=tuple(writer.chunk(steps, size).file for steps in plan.steps),
            )
            for size in plan.batches
        )
    shutil.copyfile(checkpoint.tokenizer_file, folder / TOKENIZER_FILE)
    return plan.manifest(Graphs(prefix=prefix, chunks=chunks, batched=batched))


class _GraphWriter:
    """Builds the graphs of a plan and writes them; weights are written as the graphs come to need them."""

    def __init__(self, plan: HeadPlan, folder: Path, weights: HeadWeights) -> None:
        self._plan = plan
        self._folder = folder
        self._weights = weights

    def prefix(self, batch: int) -> GraphEntry:
        """The prefix graph, for a number of requests at once."""
        graph = self._graph("prefix", batch)
        build_head_prefix(graph, self._weights)
        return GraphEntry(**self._written(graph))

    def chunk(self, steps: int, batch: int, *, guided: bool = False) -> ChunkGraph:
        """A chunk graph, for a number of requests at once."""
        own = steps == self._plan.steps[0]
        name = "_".join(["chunk", *["guided"] * guided, *[f"k{steps}"] * (not own)])
        graph, head = self._graph(name, batch), self._weights.config.head
        if isinstance(head, FlowHead):
            build_flow_chunk(graph, self._weights, steps, guided=guided)
        elif isinstance(head, DdimHead):
            build_ddim_chunk(graph, self._weights, steps)
        else:
            build_regression_chunk(graph, self._weights)
        entry = self._written(graph)
        return ChunkGraph(refinement_rounds=0, denoising_steps=None if own else steps, guided=guided, **entry)

    def _graph(self, name: str, batch: int) -> Graph:
        return Graph(name if batch == 1 else f"{name}_batch{batch}", self._plan.precision, self._weights.file, batch)

    def _written(self, graph: Graph) -> dict[str, Any]:
        file = f"{graph.name}.onnx"
        graph.save(self._folder / file)
        return {"file": file, "inputs": tuple(graph.inputs), "outputs": tuple(graph.outputs)}
