"""From a trained policy to the two ONNX graphs of a bundle."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any, Final

import onnx
import torch

from unichunk.runtime.policy.manifest import Graph, Graphs
from unichunk.runtime.policy.manifest import Tensor as Signature
from unichunk.runtime.train.model import ChunkGraph, FlowPolicy, PrefixGraph
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from pathlib import Path

OPSET: Final = 18
CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan"})


def graph_signatures(policy: FlowPolicy) -> Graphs:
    """Names, shapes and types of the graphs' inputs and outputs."""
    shape = policy.shape
    rows, width = shape.rows, UNIFIED_WIDTH
    features = Signature(name="features", shape=(1, shape.features + len(shape.slots)), dtype="float32")
    images = (shape.views, 3, shape.image_height, shape.image_width)
    prefix = Graph(
        file="prefix.onnx",
        inputs=(
            Signature(name="images", shape=images, dtype="float32"),
            Signature(name="tokens", shape=(1, shape.max_tokens), dtype="int64"),
            Signature(name="state", shape=(1, width), dtype="float32"),
        ),
        outputs=(features,),
    )
    chunk = Graph(
        file="chunk.onnx",
        inputs=(
            Signature(name="noise", shape=(1, rows, width), dtype="float32"),
            Signature(name="previous_chunk", shape=(rows, width), dtype="float32"),
            Signature(name="delay", shape=(), dtype="int64"),
            features,
        ),
        outputs=(Signature(name="actions", shape=(rows, width), dtype="float32"),),
    )
    return Graphs(prefix=prefix, chunk=chunk)


def export_graphs(policy: FlowPolicy, directory: Path) -> Graphs:
    """Write `prefix.onnx` and `chunk.onnx`; static shapes, no control flow, weights inside.

    Args:
        policy: The trained policy.
        directory: Where to write; must exist.

    Returns:
        The graphs' signatures.

    Raises:
        RuntimeError: Where the exporter left control flow in a graph.
    """
    policy = policy.eval()
    graphs = graph_signatures(policy)
    _export(PrefixGraph(policy), graphs.prefix, directory)
    _export(ChunkGraph(policy), graphs.chunk, directory)
    return graphs


def _export(module: torch.nn.Module, graph: Graph, directory: Path) -> None:
    example = tuple(_example(tensor) for tensor in graph.inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    # The exporter prints its progress; a recipe has its own. Its warnings are about itself.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            input_names=[tensor.name for tensor in graph.inputs],
            output_names=[tensor.name for tensor in graph.outputs],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(directory / graph.file))
    found = {node.op_type for node in model.graph.node} & CONTROL_FLOW
    if found:
        raise RuntimeError(f"{graph.file}: control flow left in the graph: {', '.join(sorted(found))}")


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter noted about the code it traced: stack traces with paths of the machine it ran on."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _example(tensor: Signature) -> torch.Tensor:
    if tensor.dtype == "int64":
        return torch.ones(tensor.shape, dtype=torch.int64)
    return torch.randn(tensor.shape)
