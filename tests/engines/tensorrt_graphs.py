"""Small graphs for the engines' own rules: types on the way, an output that comes back, an input that nobody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from tests.policy.tiny_graphs import GraphBuilder
from unichunk.runtime.policy.bundle import file_hash
from unichunk.runtime.policy.engines.graph_file import GraphFile
from unichunk.runtime.policy.manifest import Graph, Tensor

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.policy.manifest import PrecisionName

ELEMENTS = {"float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}


def tensor(name: str, shape: tuple[int, ...] = (4,), dtype: str = "float32") -> Tensor:
    return Tensor(name=name, shape=shape, dtype=dtype)  # type: ignore[arg-type]


def written(folder: Path, graph: Graph, build: GraphBuilder, *, resident: bool, precision: PrecisionName) -> GraphFile:
    path = build.write(folder)
    return GraphFile(path, graph, precision, {path.name: file_hash(path)}, resident)


def first_of_pair(folder: Path, dtype: str, precision: PrecisionName = "fp16") -> GraphFile:
    """Takes x and gives it in another type as f; stays on the device."""
    graph = Graph(file="first.onnx", inputs=(tensor("x"),), outputs=(tensor("f", dtype=dtype),))
    build = GraphBuilder(graph)
    build.add("Cast", "x", to=ELEMENTS[dtype], output="f")
    return written(folder, graph, build, resident=True, precision=precision)


def second_of_pair(folder: Path, dtype: str, precision: PrecisionName = "fp16") -> GraphFile:
    """Takes f and gives it as y in float32."""
    graph = Graph(file="second.onnx", inputs=(tensor("f", dtype=dtype),), outputs=(tensor("y"),))
    build = GraphBuilder(graph)
    build.add("Cast", "f", to=onnx.TensorProto.FLOAT, output="y")
    return written(folder, graph, build, resident=False, precision=precision)


def counter(folder: Path) -> GraphFile:
    """Takes `count` and gives it one larger as `count_next`; stays on the device, and may be fed to itself."""
    graph = Graph(file="counter.onnx", inputs=(tensor("count"),), outputs=(tensor("next"),))
    build = GraphBuilder(graph)
    build.add("Add", "count", build.constant([1.0, 1.0, 1.0, 1.0]), output="next")
    return written(folder, graph, build, resident=True, precision="fp32")


def with_a_further_output(folder: Path) -> GraphFile:
    """Gives y = 2 x, and z that its bundle does not name."""
    whole = Graph(file="more.onnx", inputs=(tensor("x"),), outputs=(tensor("y"), tensor("z")))
    build = GraphBuilder(whole)
    build.add("Add", "x", "x", output="y")
    build.add("Neg", "x", output="z")
    named = Graph(file="more.onnx", inputs=whole.inputs, outputs=(tensor("y"),))
    return written(folder, named, build, resident=False, precision="fp32")
