"""Graphs of half precision for machines that have none: in float32, rounded wherever they would be."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Final

import msgspec
import onnx
from onnx import TensorProto, helper

from unichunk.runtime.compile.precision import ONNX_TYPES, PRECISIONS

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.policy.manifest import Graph, Manifest

PRODUCTS: Final = frozenset({"Gemm", "MatMul"})
"""All that is computed in half precision; everything else that sees half values only moves them."""


def write_emulated(folder: Path, manifest: Manifest, into: Path) -> Manifest:
    """The graphs for one request of a bundle in fp16 or bf16, as graphs in float32 that give the same numbers.

    A product's operands are rounded to the half type, multiplied and summed in float32, and the result is rounded:
    what tensor cores compute, up to the order of the sum. Weights stay in their file, which is linked, not copied.

    Args:
        folder: The bundle's files.
        manifest: What it says.
        into: An empty folder on the same disk.

    Returns:
        The manifest of what is in `into`: all inputs and outputs are float32 there.
    """
    graphs = manifest.graphs
    singles = {graph.file for graph in (graphs.prefix, *graphs.other_prefixes, *graphs.chunks)}
    half = ONNX_TYPES[PRECISIONS[manifest.precision].type]
    for path in folder.iterdir():
        if path.name in singles:
            model = onnx.load(path, load_external_data=False)
            (into / path.name).write_bytes(emulated(model, half).SerializeToString())
        elif path.suffix != ".onnx":
            _put(path, into / path.name)
    return msgspec.structs.replace(
        manifest,
        precision="fp32",
        graphs=msgspec.structs.replace(
            graphs,
            prefix=_widened(graphs.prefix),
            other_prefixes=tuple(_widened(graph) for graph in graphs.other_prefixes),
            chunks=tuple(_widened(graph) for graph in graphs.chunks),
            token=None,  # thoughts are no part of what is compared
            batched=(),
        ),
    )


def _put(path: Path, place: Path) -> None:
    """The same file in another place: gigabytes are only copied where the disk knows no links."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)


def emulated(model: Any, half: int) -> Any:
    """The graph in float32, with every rounding of the graph in half precision.

    Args:
        model: The graph in half precision; each of its nodes follows those that it takes something from.
        half: ONNX's number of the half type.
    """
    graph = model.graph
    nodes: list[Any] = []
    halves: set[str] = set()
    wide_names: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.data_type == half:
            wide_names[tensor.name] = wide = f"{tensor.name}.float32"
            halves.add(wide)
            nodes.append(helper.make_node("Cast", [tensor.name], [wide], to=TensorProto.FLOAT))
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == half:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
            halves.add(info.name)
    for node in graph.node:
        node.input[:] = [wide_names.get(name, name) for name in node.input]
        if node.op_type == "Cast" and node.attribute[0].i == half:
            nodes += _rounding(node.input[0], node.output[0], half)
            halves.add(node.output[0])
        elif node.op_type == "Cast" and node.input[0] in halves:
            nodes.append(helper.make_node("Identity", node.input, node.output))
        elif node.op_type in PRODUCTS and node.input[0] in halves:
            result = node.output[0]
            node.output[0] = f"{result}.exact"
            nodes += [node, *_rounding(node.output[0], result, half)]
            halves.add(result)
        else:
            nodes.append(node)
            halves.update(node.output if any(name in halves for name in node.input) else ())
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _rounding(value: str, rounded: str, half: int) -> list[Any]:
    """There and back again. ONNX Runtime keeps such a pair of casts, since it changes numbers."""
    return [
        helper.make_node("Cast", [value], [f"{rounded}.half"], to=half),
        helper.make_node("Cast", [f"{rounded}.half"], [rounded], to=TensorProto.FLOAT),
    ]


def _widened(graph: Graph) -> Any:
    """The signature with float32 for half types."""
    inputs, outputs = (
        tuple(
            msgspec.structs.replace(tensor, dtype="float32") if tensor.dtype in {"float16", "bfloat16"} else tensor
            for tensor in tensors
        )
        for tensors in (graph.inputs, graph.outputs)
    )
    return msgspec.structs.replace(graph, inputs=inputs, outputs=outputs)
