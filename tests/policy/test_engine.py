"""Graphs that are not what their bundle says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.one_line import refused
from tests.policy.damage import manifest_of, put_file, put_manifest, set_value
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.policy.tiny_graphs import GraphBuilder
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import Tensor

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
    larger = write_tiny_bundle(tmp_path / "larger", image_size=(48, 64))
    put_file(bundle, "prefix.onnx", (larger / "prefix.onnx").read_bytes())
    with refused(BundleError, str(bundle / "prefix.onnx"), "`images`", "(1, 3, 48, 64)", "(1, 3, 24, 32)", AGAIN):
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
    chunk = read_manifest(bundle).graphs.chunk
    build = GraphBuilder(
        msgspec.structs.replace(chunk, outputs=(Tensor(name="rows", shape=(8, 200), dtype="float32"),))
    )
    build.add("Identity", "previous_chunk", output="rows")
    put_file(bundle, "chunk.onnx", build.write(tmp_path).read_bytes())
    with refused(BundleError, str(bundle / "chunk.onnx"), "output `actions` is in bundle.json", "['rows']", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["noise", "previous_chunk", "delay", "glance"])
def test_manifest_without_an_input_of_the_chunk_graph(bundle: Path, name: str) -> None:
    document = manifest_of(bundle)
    chunk = document["graphs"]["chunk"]
    chunk["inputs"] = [tensor for tensor in chunk["inputs"] if tensor["name"] != name]
    put_manifest(bundle, document)
    with refused(BundleError, "bundle.json", f"chunk.onnx has no input `{name}`", AGAIN):
        Policy.load(bundle)


def test_manifest_without_the_output(bundle: Path) -> None:
    set_value(bundle, "graphs.chunk.outputs", [])
    with refused(BundleError, "bundle.json", "chunk.onnx has no output `actions`", AGAIN):
        Policy.load(bundle)


def test_manifest_with_an_input_that_nothing_provides(bundle: Path) -> None:
    set_value(bundle, "language", None)
    with refused(BundleError, "bundle.json", "prefix.onnx has an input `tokens` that nothing provides", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("path", "shape", "words"),
    [
        ("graphs.prefix.inputs.0.shape", [1, 3, 32, 24], "images has shape [1, 3, 32, 24], expected [1, 3, 24, 32]"),
        ("graphs.prefix.inputs.1.shape", [1, 48], "tokens has shape [1, 48], expected [1, 64]"),
        ("graphs.chunk.inputs.0.shape", [8, 200], "noise has shape [8, 200], expected [rounds, 8, 200]"),
        ("graphs.chunk.inputs.0.shape", [0, 8, 200], "noise has shape [0, 8, 200], expected [rounds, 8, 200]"),
        ("graphs.chunk.inputs.2.shape", [1], "delay has shape [1], expected []"),
        ("graphs.chunk.inputs.4.shape", [1, 2], "glance has shape [1, 2], expected [1, 1]"),
        ("graphs.chunk.outputs.0.shape", [8, 6], "actions has shape [8, 6], expected [8, 200]"),
    ],
)
def test_shape_that_contradicts_the_manifest(bundle: Path, path: str, shape: list[int], words: str) -> None:
    set_value(bundle, path, shape)
    with refused(BundleError, "bundle.json", words, AGAIN):
        Policy.load(bundle)


def test_type_that_contradicts_the_manifest(bundle: Path) -> None:
    set_value(bundle, "graphs.chunk.inputs.2.dtype", "float32")
    with refused(BundleError, "bundle.json", "delay is float32, expected int64", AGAIN):
        Policy.load(bundle)
