"""What a manifest may claim of its sampler and of further inputs, and that those are given where they are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.damage import manifest_of, put_manifest
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.contradictions import contradictions
from unichunk.runtime.policy.manifest import Ddim, Manifest, Regression
from unichunk.runtime.policy.optional_inputs import robot_inputs

if TYPE_CHECKING:
    from pathlib import Path

DDIM = {"kind": "ddim", "guidance_scale": 5.0, "training_steps": 100}
PLAIN = {"kind": "regression"}


def spoil(bundle: Path, *changes: Any) -> Any:
    """Without refinement, then with changes of the document."""
    document = manifest_of(bundle)
    document["graphs"]["chunks"] = document["graphs"]["chunks"][:1]
    for change in changes:
        change(document)
    put_manifest(bundle, document)
    return document


def put(path: str, value: Any) -> Any:
    def change(document: Any) -> None:
        *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
        for word in parents:
            document = document[word]
        document[last] = value

    return change


def without_noise(document: Any) -> None:
    chunk = document["graphs"]["chunks"][0]
    chunk["inputs"] = [tensor for tensor in chunk["inputs"] if tensor["name"] != "noise"]


def takes(graph: str, name: str, shape: list[int], dtype: str = "float32") -> Any:
    def change(document: Any) -> None:
        place = document["graphs"]["chunks"][0] if graph == "chunk" else document["graphs"]["prefix"]
        place["inputs"].append({"name": name, "shape": shape, "dtype": dtype})

    return change


def complaints(bundle: Path) -> list[str]:
    return list(contradictions(msgspec.convert(manifest_of(bundle), Manifest)))


def test_without_a_word_it_is_a_rectified_flow_that_locks(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert (manifest.denoises, manifest.locks) == (True, True)
    assert b"sampler" not in msgspec.json.encode(manifest)


@pytest.mark.parametrize(
    ("sampler", "locks"), [(Ddim(guidance_scale=5.0, training_steps=100), True), (Regression(), False)]
)
def test_only_a_regression_does_not_lock(bundle: Path, sampler: Any, *, locks: bool) -> None:
    manifest = msgspec.structs.replace(read_manifest(bundle), sampler=sampler)
    assert manifest.locks is locks
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest


@pytest.mark.parametrize(
    "changes",
    [
        [put("sampler", DDIM)],
        [put("sampler", DDIM | {"guidance_scale": 0})],
        [put("sampler", PLAIN), put("denoising_steps", 1), without_noise],
        [takes("prefix", "state_mask", [1, 200]), takes("chunk", "action_mask", [1, 200])],
        [takes("prefix", "fields_of_view", [1, 2]), put("robots.so101.fields_of_view", [[0.9, 0.7]])],
    ],
)
def test_what_can_be(bundle: Path, changes: list[Any]) -> None:
    spoil(bundle, *changes)
    assert complaints(bundle) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [put("sampler", DDIM | {"guidance_scale": -0.5})],
            "sampler.guidance_scale: expected a number, 0 or more, got -0.5",
        ),
        (
            [put("sampler", DDIM | {"training_steps": 1})],
            "denoising_steps: expected at most sampler.training_steps (1), got 2",
        ),
        (
            [put("sampler", DDIM), put("graphs.chunks.0.denoising_steps", 101)],
            "graphs.chunks[0].denoising_steps: expected at most sampler.training_steps (100), got 101",
        ),
        ([put("sampler", DDIM), put("graphs.chunks.0.guided", value=True)], "graphs.chunks[0].guided: expected false"),
        (
            [put("sampler", PLAIN), without_noise],
            "denoising_steps: expected 1, since a regression denoises nothing, got 2",
        ),
        ([put("sampler", PLAIN), put("denoising_steps", 1)], "chunk.onnx has an input `noise` that nothing provides"),
        ([without_noise], "chunk.onnx has no input `noise`"),
        ([takes("chunk", "overlap", [], "int64")], "chunk.onnx has an input `overlap` that nothing provides"),
        ([takes("prefix", "state_mask", [200])], "state_mask of prefix.onnx has shape [200], expected [1, 200]"),
        ([takes("chunk", "action_mask", [1, 200], "int64")], "action_mask of chunk.onnx is int64, expected float32"),
        (
            [takes("prefix", "fields_of_view", [1, 2])],
            "robots.so101.fields_of_view: expected one for each of the 1 cameras, got 0",
        ),
        (
            [put("robots.so101.fields_of_view", [[0.9, 0.7], [0.9, 0.7]])],
            "robots.so101.fields_of_view: expected one for each of the 1 cameras, got 2",
        ),
        (
            [put("robots.so101.fields_of_view", [[0.9, 3.2]])],
            "robots.so101.fields_of_view[0]: expected two angles between 0 and pi, [rad], got [0.9, 3.2]",
        ),
        (
            [takes("chunk", "fields_of_view", [1, 2]), put("robots.so101.fields_of_view", [[1, 1]])],
            "chunk.onnx has an input `fields_of_view` that nothing provides",
        ),
    ],
)
def test_what_cannot_be(bundle: Path, changes: list[Any], words: str) -> None:
    spoil(bundle, *changes)
    with refused(BundleError, words):
        read_manifest(bundle)


def test_refinement_is_for_flows_alone(bundle: Path) -> None:
    document = manifest_of(bundle)
    put_manifest(bundle, document | {"sampler": DDIM})
    with refused(BundleError, "graphs.chunks[1].refinement_rounds: expected 0", "DDIM sampler has no gates, got 1"):
        read_manifest(bundle)


def test_only_what_a_graph_declares_is_given(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert robot_inputs(manifest, manifest.robots["so101"]) == {}
    document = spoil(bundle, takes("prefix", "state_mask", [1, 200]), takes("chunk", "action_mask", [1, 200]))
    document["robots"]["so101"]["state"].pop("gripper")
    manifest = msgspec.convert(document, Manifest)
    given = robot_inputs(manifest, manifest.robots["so101"])
    assert set(given) == {"state_mask", "action_mask"}
    assert np.flatnonzero(given["state_mask"][0]).tolist() == [*range(50, 55)]
    assert np.flatnonzero(given["action_mask"][0]).tolist() == [18, *range(50, 55)]
    with pytest.raises(ValueError, match="read-only"):
        given["state_mask"][0, 0] = 1
