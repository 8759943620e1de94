"""Graphs that are not what their bundle says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import pytest

from tests.one_line import refused
from tests.policy.damage import manifest_of, put_file, put_manifest, set_value
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.policy.tiny_graphs import GraphBuilder
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.engines.onnx_runtime import OnnxRuntimeEngine
from unichunk.runtime.policy.manifest import Graph, Tensor

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "fetch or build the bundle again"


@pytest.mark.parametrize("name", ["chunk.onnx", "prefix.onnx"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_truncated_graph_with_the_right_hash(bundle: Path, name: str, part: float) -> None:
    content = (bundle / name).read_bytes()
    put_file(bundle, name, content[: int(part * len(content))])
    with refused(BundleError, str(bundle / name), "not a graph that ONNX Runtime", AGAIN):
        Policy.load(bundle)


def test_graph_of_another_chunk_length(bundle: Path, tmp_path: Path) -> None:
    longer = write_tiny_bundle(tmp_path / "longer", chunk_length=9)
    put_file(bundle, "chunk.onnx", (longer / "chunk.onnx").read_bytes())
    with refused(BundleError, str(bundle / "chunk.onnx"), "input `noise`", "(1, 9, 200)", "(1, 8, 200)", AGAIN):
        Policy.load(bundle)


def test_graph_for_another_image_size(bundle: Path, tmp_path: Path) -> None:
    larger = write_tiny_bundle(tmp_path / "larger", image_size=48)
    put_file(bundle, "prefix.onnx", (larger / "prefix.onnx").read_bytes())
    with refused(BundleError, str(bundle / "prefix.onnx"), "`images`", "(1, 3, 48, 48)", "(1, 3, 24, 24)", AGAIN):
        Policy.load(bundle)


def test_the_two_graphs_swapped(bundle: Path) -> None:
    prefix, chunk = (bundle / "prefix.onnx").read_bytes(), (bundle / "chunk.onnx").read_bytes()
    put_file(bundle, "prefix.onnx", chunk)
    put_file(bundle, "chunk.onnx", prefix)
    with refused(BundleError, str(bundle / "prefix.onnx"), "input `images` is in bundle.json, the graph has", AGAIN):
        Policy.load(bundle)


def test_graph_without_an_input_that_the_manifest_has(bundle: Path, tmp_path: Path) -> None:
    silent = write_tiny_bundle(tmp_path / "silent", max_tokens=None)
    put_file(bundle, "prefix.onnx", (silent / "prefix.onnx").read_bytes())
    with refused(BundleError, str(bundle / "prefix.onnx"), "input `tokens` is in bundle.json", AGAIN):
        Policy.load(bundle)


def test_graph_with_an_input_that_the_manifest_has_not(bundle: Path, tmp_path: Path) -> None:
    silent = write_tiny_bundle(tmp_path / "silent", max_tokens=None)
    put_file(silent, "prefix.onnx", (bundle / "prefix.onnx").read_bytes())
    with refused(BundleError, str(silent / "prefix.onnx"), "needs inputs ['tokens']", AGAIN):
        Policy.load(silent)


def test_graph_without_an_output_that_the_manifest_has(bundle: Path, tmp_path: Path) -> None:
    chunk = read_manifest(bundle).graphs.chunks[0]
    build = GraphBuilder(
        msgspec.structs.replace(chunk, outputs=(Tensor(name="rows", shape=(8, 200), dtype="float32"),))
    )
    build.add("Identity", "previous_chunk", output="rows")
    put_file(bundle, "chunk.onnx", build.write(tmp_path).read_bytes())
    with refused(BundleError, str(bundle / "chunk.onnx"), "output `actions` is in bundle.json", "['rows']", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["noise", "previous_chunk", "delay"])
def test_manifest_without_an_input_of_the_chunk_graph(bundle: Path, name: str) -> None:
    document = manifest_of(bundle)
    chunk = document["graphs"]["chunks"][0]
    chunk["inputs"] = [tensor for tensor in chunk["inputs"] if tensor["name"] != name]
    put_manifest(bundle, document)
    with refused(BundleError, "bundle.json", f"chunk.onnx has no input `{name}`", AGAIN):
        Policy.load(bundle)


def test_manifest_without_the_output(bundle: Path) -> None:
    set_value(bundle, "graphs.chunks.0.outputs", [])
    with refused(BundleError, "bundle.json", "chunk.onnx has no output `actions`", AGAIN):
        Policy.load(bundle)


def test_manifest_with_an_input_that_nothing_provides(bundle: Path) -> None:
    set_value(bundle, "language", None)
    with refused(BundleError, "bundle.json", "prefix.onnx has an input `tokens` that nothing provides", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("path", "shape", "words"),
    [
        ("prefix.inputs.0", [1, 3, 24, 23], "images of prefix.onnx has shape [1, 3, 24, 23], expected [1, 3, 24, 24]"),
        ("prefix.inputs.1", [1, 48], "tokens of prefix.onnx has shape [1, 48], expected [1, 64]"),
        ("chunks.0.inputs.0", [8, 200], "noise of chunk.onnx has shape [8, 200], expected [1, 8, 200]"),
        ("chunks.0.inputs.0", [2, 8, 200], "noise of chunk.onnx has shape [2, 8, 200], expected [1, 8, 200]"),
        ("chunks.1.inputs.0", [1, 8, 200], "noise of chunk_1.onnx has shape [1, 8, 200], expected [2, 8, 200]"),
        ("chunks.0.inputs.2", [1], "delay of chunk.onnx has shape [1], expected []"),
        ("chunks.0.inputs.4", [1, 2], "glance of chunk.onnx has shape [1, 2], expected [1, 1]"),
        ("chunks.0.outputs.0", [8, 6], "actions of chunk.onnx has shape [8, 6], expected [8, 200]"),
        ("chunks.1.outputs.1", [2, 1], "gates of chunk_1.onnx has shape [2, 1], expected [1, 2]"),
        ("chunks.1.outputs.2", [2], "discrepancies of chunk_1.onnx has shape [2], expected [1, 2]"),
    ],
)
def test_shape_that_contradicts_the_manifest(bundle: Path, path: str, shape: list[int], words: str) -> None:
    set_value(bundle, f"graphs.{path}.shape", shape)
    with refused(BundleError, "bundle.json", words, AGAIN):
        Policy.load(bundle)


def test_type_that_contradicts_the_manifest(bundle: Path) -> None:
    set_value(bundle, "graphs.chunks.0.inputs.2.dtype", "float32")
    with refused(BundleError, "bundle.json", "delay of chunk.onnx is float32, expected int64", AGAIN):
        Policy.load(bundle)


def test_a_chunk_graph_may_leave_to_another_what_it_does_not_need(bundle: Path) -> None:
    document = manifest_of(bundle)
    first, second = document["graphs"]["chunks"]
    first["inputs"] = [tensor for tensor in first["inputs"] if tensor["name"] != "glance"]
    put_manifest(bundle, document)
    assert len(read_manifest(bundle).graphs.chunks[0].inputs) == 4
    second["inputs"] = [tensor for tensor in second["inputs"] if tensor["name"] != "glance"]
    put_manifest(bundle, document)
    with refused(BundleError, "no chunk graph has an input `glance`, which prefix.onnx computes", AGAIN):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["images", "state", "tokens", "time"])
def test_a_chunk_graph_sees_nothing_but_features(bundle: Path, name: str) -> None:
    document = manifest_of(bundle)
    given = {tensor["name"]: tensor for tensor in document["graphs"]["prefix"]["inputs"]}
    extra = given.get(name, {"name": name, "shape": [], "dtype": "float32"})
    document["graphs"]["chunks"][1]["inputs"].append(extra)
    put_manifest(bundle, document)
    with refused(BundleError, f"chunk_1.onnx has an input `{name}` that nothing provides", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["images", "tokens", "state"])
def test_manifest_without_an_input_of_the_prefix_graph(bundle: Path, name: str) -> None:
    document = manifest_of(bundle)
    prefix = document["graphs"]["prefix"]
    prefix["inputs"] = [tensor for tensor in prefix["inputs"] if tensor["name"] != name]
    put_manifest(bundle, document)
    with refused(BundleError, f"prefix.onnx has no input `{name}`", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["gates", "discrepancies", "actions"])
def test_manifest_without_an_output_of_the_refining_graph(bundle: Path, name: str) -> None:
    document = manifest_of(bundle)
    chunk = document["graphs"]["chunks"][1]
    chunk["outputs"] = [tensor for tensor in chunk["outputs"] if tensor["name"] != name]
    put_manifest(bundle, document)
    with refused(BundleError, f"chunk_1.onnx has no output `{name}`", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["noise", "delay"])
def test_features_named_like_something_else(bundle: Path, name: str) -> None:
    set_value(bundle, "graphs.prefix.outputs.1.name", name)
    with refused(BundleError, f"prefix.onnx has an output `{name}`, a name that chunk.onnx needs", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(("place", "kind"), [("prefix.inputs", "input"), ("chunks.0.outputs", "output")])
def test_names_that_come_twice(bundle: Path, place: str, kind: str) -> None:
    document = manifest_of(bundle)
    tensors = document["graphs"]
    for word in place.split("."):
        tensors = tensors[int(word) if word.isdigit() else word]
    tensors.append(tensors[0])
    put_manifest(bundle, document)
    with refused(BundleError, f"has the {kind} `{tensors[0]['name']}` twice", AGAIN):
        Policy.load(bundle)


def pair_in(folder: Path, dtype: str, between: str) -> tuple[OnnxRuntimeEngine, OnnxRuntimeEngine]:
    """A graph that gives 2 x in another type, and one that takes it and gives it back as it was."""
    element = {"float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}[dtype]
    x = Tensor(name="x", shape=(4,), dtype="float32")
    feature = msgspec.structs.replace(x, name="f", dtype=dtype)
    engines = []
    for name, inputs, outputs in (("first.onnx", (x,), (feature,)), ("second.onnx", (feature,), (x,))):
        renamed = tuple(msgspec.structs.replace(tensor, name=f"{tensor.name}_out") for tensor in outputs)
        signature = Graph(file=name, inputs=inputs, outputs=renamed)
        build = GraphBuilder(signature)
        if name == "first.onnx":
            low = build.add("Cast", "x", to=element)
            build.add(between, low, *([low] if between == "Add" else []), output="f_out")
        else:
            build.add("Cast", "f", to=onnx.TensorProto.FLOAT, output="x_out")
        engines.append(OnnxRuntimeEngine(build.write(folder), signature, precision=dtype))
    return engines[0], engines[1]


@pytest.mark.parametrize(("dtype", "between"), [("float16", "Add"), ("bfloat16", "Identity")])
def test_features_of_any_type_pass_from_graph_to_graph(tmp_path: Path, dtype: str, between: str) -> None:
    first, second = pair_in(tmp_path, dtype, between)
    x = np.array([1.0, -2.5, 0.125, 1024.0], np.float32)
    features = first.run({"x": x})
    result = second.run({"f": features["f_out"], "of no matter": x})["x_out"].numpy()
    np.testing.assert_array_equal(result, 2 * x if between == "Add" else x)


def test_a_precision_without_arithmetic_on_this_machine(tmp_path: Path) -> None:
    with refused(
        BundleError, "first.onnx", "cannot compute it in bfloat16 on this CPU", "Add", "compile", "--precision fp32"
    ):
        pair_in(tmp_path, "bfloat16", "Add")


@pytest.fixture
def with_weights(bundle: Path) -> Path:
    """The bundle with the weights of both chunk graphs in one external file."""
    weights = bytearray()
    document = manifest_of(bundle)
    for chunk in document["graphs"]["chunks"]:
        model = onnx.load(bundle / chunk["file"])
        for tensor in model.graph.initializer:
            if tensor.dims and tensor.data_type == onnx.TensorProto.FLOAT:
                onnx.external_data_helper.set_external_data(tensor, "weights.bin", len(weights), len(tensor.raw_data))
                weights += tensor.raw_data
                weights += bytes(-len(weights) % 64)
                tensor.ClearField("raw_data")
        put_file(bundle, chunk["file"], model.SerializeToString())
    put_file(bundle, "weights.bin", bytes(weights))
    return bundle


@pytest.mark.parametrize("rounds", [0, 1])
def test_weights_beside_the_graph(with_weights: Path, tmp_path: Path, rounds: int) -> None:
    plain = Policy.load(write_tiny_bundle(tmp_path / "plain"), refinement_rounds=rounds)
    policy = Policy.load(with_weights, refinement_rounds=rounds)
    observation = policy.example_observation()
    np.testing.assert_array_equal(policy.infer(observation).unified, plain.infer(observation).unified)


def test_damaged_weights(with_weights: Path) -> None:
    weights = bytearray((with_weights / "weights.bin").read_bytes())
    weights[100] ^= 1
    (with_weights / "weights.bin").write_bytes(weights)
    with refused(BundleError, "weights.bin", "changed or damaged", AGAIN):
        Policy.load(with_weights)


@pytest.mark.parametrize("left", [0, 1000])
def test_weights_that_are_too_few_with_the_right_hash(with_weights: Path, left: int) -> None:
    put_file(with_weights, "weights.bin", (with_weights / "weights.bin").read_bytes()[:left])
    with refused(BundleError, "chunk.onnx", "not a graph that ONNX Runtime", AGAIN):
        Policy.load(with_weights)
