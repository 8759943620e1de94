"""What the graphs are made of: fixed shapes, no control flow, references into one weight file."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, shape_inference

from tests.compile.golden_files import GOLDEN
from tests.compile.graph_runs import RandomModel
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.compile.weight_file import LINE, PAGE, WEIGHT_FILE
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SINGLE = ("prefix.onnx", "chunk.onnx", "chunk_mpg.onnx")
GRAPHS = (*SINGLE, "prefix_batch3.onnx", "chunk_batch3.onnx", "chunk_mpg_batch3.onnx")
OPTIONS = CompileOptions("libero_nonorm", "uni_posttrain", batch=(3,))
OPERATORS = {
    *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Erf", "Sigmoid", "Relu", "Softmax", "LayerNormalization"),
    *("Gemm", "MatMul", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Cast", "Max", "Less", "Greater", "Where"),
    *("Reshape", "Transpose", "Concat", "Split", "Gather", "Expand", "Identity"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("structure") / "bundle"
    compile_checkpoint(GOLDEN, out, OPTIONS)
    return out


def references(folder: Path, graph: str) -> dict[str, tuple[int, int]]:
    """Name -> offset and length of what a graph takes from the weight file."""
    found = {}
    for tensor in onnx.load(folder / graph, load_external_data=False).graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            entry = {item.key: item.value for item in tensor.external_data}
            assert entry["location"] == WEIGHT_FILE
            found[tensor.name] = (int(entry["offset"]), int(entry["length"]))
    return found


@pytest.mark.parametrize("graph", GRAPHS)
def test_plain_operators_and_fixed_shapes_only(folder: Path, graph: str) -> None:
    onnx.checker.check_model(str(folder / graph), full_check=True)
    model = onnx.load(folder / graph, load_external_data=False)
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    assert {node.domain for node in model.graph.node} == {""}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    inferred = shape_inference.infer_shapes(onnx.load(folder / graph), strict_mode=True, data_prop=True).graph
    known = {value.name: value.type.tensor_type for value in (*inferred.value_info, *inferred.input, *inferred.output)}
    for node in inferred.node:
        for name in node.output:
            assert all(size.HasField("dim_value") for size in known[name].shape.dim), name


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_manifest_says_what_the_graph_is(folder: Path, graph: str) -> None:
    graphs = read_manifest(folder).graphs
    entries = [graphs.prefix, *graphs.chunks]
    for batch in graphs.batched:
        entries += [batch.of(graphs.prefix, batch.prefix), *map(batch.of, graphs.chunks, batch.chunks)]
    entry = next(entry for entry in entries if entry.file == graph)
    model = onnx.load(folder / graph, load_external_data=False).graph
    for declared, found in ((entry.inputs, model.input), (entry.outputs, model.output)):
        assert [(tensor.name, list(tensor.shape)) for tensor in declared] == [
            (value.name, [size.dim_value for size in value.type.tensor_type.shape.dim]) for value in found
        ]


def test_weights_are_references_that_all_graphs_share(folder: Path) -> None:
    every: dict[str, tuple[int, int]] = {}
    for graph in GRAPHS:
        for tensor in onnx.load(folder / graph, load_external_data=False).graph.initializer:
            assert tensor.data_location == TensorProto.EXTERNAL or np.prod(tensor.dims) <= 64, tensor.name
        for name, place in references(folder, graph).items():
            assert every.setdefault(name, place) == place
    assert set(references(folder, "chunk.onnx")) <= set(references(folder, "chunk_mpg.onnx"))
    assert any("qkv_proj_mot_gen" in name for name in references(folder, "prefix.onnx"))
    end = 0
    for offset, length in sorted(every.values()):
        assert offset % (PAGE if length >= PAGE else LINE) == 0
        assert end <= offset < end + PAGE
        end = offset + length
    assert (folder / WEIGHT_FILE).stat().st_size == end


def test_no_weight_is_there_twice(folder: Path) -> None:
    content = (folder / WEIGHT_FILE).read_bytes()
    every = {place for graph in GRAPHS for place in references(folder, graph).values()}
    digests = [hashlib.sha256(content[at : at + size]).digest() for at, size in every if size >= 1024]
    assert len(digests) > 50
    assert len(digests) == len(set(digests))


def test_the_loop_computes_action_tokens_only(folder: Path) -> None:
    names = [*references(folder, "chunk.onnx"), *references(folder, "chunk_mpg.onnx")]
    language = [name for name in names if "language_model" in name and "_mot_gen" not in name]
    assert not language
    assert not [name for name in names if name.startswith(("vit_model", "connector", "proprio"))]


def test_the_last_layer_gives_keys_and_values_only(folder: Path) -> None:
    last = [name for name in references(folder, "prefix.onnx") if "layers.2." in name]
    assert any("kv_proj" in name for name in last)
    assert not [name for name in last if "mlp" in name or "o_proj" in name]


def test_a_weight_is_in_memory_while_it_is_written_and_no_longer(tmp_path: Path) -> None:
    sizes = Sizes(width=256, mlp=512, layers=6, expert_width=128, expert_mlp=256, heads=8, kv_heads=4, head_dim=32)
    model = RandomModel.write(tmp_path, sizes, 1)
    bundle = model.compiled(tmp_path / "warm")
    written = (bundle.folder / WEIGHT_FILE).stat().st_size
    with _peak() as peak:
        model.compiled(tmp_path / "bundle")
    assert written > 10_000_000
    assert peak[0] < written / 3


class _peak:  # noqa: N801  (used like a function)
    """Largest memory of Python and numpy inside the block, [B]."""

    def __enter__(self) -> list[int]:
        tracemalloc.start()
        self.found = [0]
        return self.found

    def __exit__(self, *details: Any) -> None:
        self.found[0] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def test_equal_compilations_are_equal_files(folder: Path, tmp_path: Path) -> None:
    compile_checkpoint(GOLDEN, tmp_path / "again", OPTIONS)
    assert read_manifest(tmp_path / "again").files == read_manifest(folder).files


def files_of(folder: Path) -> Iterator[str]:
    yield from sorted(path.name for path in folder.iterdir())


def test_without_rounds_there_is_one_chunk_graph(tmp_path: Path) -> None:
    compile_checkpoint(
        GOLDEN, tmp_path / "bundle", CompileOptions("libero_nonorm", "uni_posttrain", refinement_rounds=0)
    )
    expected = ["bundle.json", "chunk.onnx", "prefix.onnx", "tokenizer.json", "weights.bin"]
    assert list(files_of(tmp_path / "bundle")) == expected
    assert not [name for name in references(tmp_path / "bundle", "chunk.onnx") if "mpg" in name or "vlm" in name]
