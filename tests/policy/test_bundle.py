"""Reading bundles: everything that can be wrong with one gets one clear line."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from tests.policy.damage import delete_value, manifest_of, put_manifest, set_value
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "fetch or build the bundle again"


def batch(size: int, prefix: str = "a.onnx", chunks: tuple[str, ...] = ("b.onnx", "c.onnx")) -> dict[str, Any]:
    """Entry of the graphs for several requests."""
    return {"size": size, "prefix": prefix, "chunks": chunks}


def test_a_valid_bundle_is_read(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.chunk_length == 8
    assert manifest.embodiments == ("so101",)
    robot = manifest.robots["so101"]
    assert robot.state["arm_joints"].slots == (50, 55)
    assert robot.state["gripper"].slots == (18, 19)
    assert (robot.cameras, robot.action_hz, robot.max_delay) == (("third_person",), 20, 6)
    assert manifest.noise == "all"
    assert set(manifest.files) == {"prefix.onnx", "chunk.onnx", "chunk_1.onnx", "tokenizer.json"}


def test_missing_folder(tmp_path: Path) -> None:
    with refused(BundleError, str(tmp_path / "nowhere"), "bundle.json", "expected a policy bundle folder"):
        Policy.load(tmp_path / "nowhere")


def test_missing_manifest(bundle: Path) -> None:
    (bundle / "bundle.json").unlink()
    with refused(BundleError, str(bundle), "no bundle.json", "expected a policy bundle folder"):
        Policy.load(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"graph: chunk.onnx", b"\xff\xfe\x00", b'{"name": "\xff"}', b"[" * 9000]
)
def test_not_json(bundle: Path, content: bytes) -> None:
    (bundle / "bundle.json").write_bytes(content)
    with refused(BundleError, str(bundle / "bundle.json"), "not JSON", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("content", "found"), [("[]", "list"), ('"bundle"', "str"), ("1", "int"), ("null", "NoneType")]
)
def test_not_an_object(bundle: Path, content: str, found: str) -> None:
    (bundle / "bundle.json").write_text(content)
    with refused(BundleError, str(bundle / "bundle.json"), "expected a JSON object", f"got {found}", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_format_version(bundle: Path, version: int) -> None:
    set_value(bundle, "format_version", version)
    with refused(BundleError, "bundle.json", f"format_version {version} is older than the 3", "compile the checkpoint"):
        Policy.load(bundle)


@pytest.mark.parametrize("version", [5, 0, -1, "3", None, [3]])
def test_unknown_format_version(bundle: Path, version: Any) -> None:
    set_value(bundle, "format_version", version)
    with refused(BundleError, "bundle.json", f"format_version {version!r}", "expected 3", "rebuild the bundle"):
        Policy.load(bundle)


def test_missing_format_version(bundle: Path) -> None:
    delete_value(bundle, "format_version")
    with refused(BundleError, "bundle.json", "format_version None", "expected 3"):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("chunk_length", ("missing required field `chunk_length`",)),
        ("graphs", ("missing required field `graphs`",)),
        ("image.size", ("missing required field `size`", "`bundle.image`")),
        ("graphs.chunks.0.file", ("missing required field `file`", "`bundle.graphs.chunks[0]`")),
        ("robots.so101.state.gripper.slots", ("missing required field `slots`", "`bundle.robots.so101.state.gripper`")),
        (
            "robots.so101.action.arm_joints.normalization.std",
            ("missing required field `std`", "bundle.robots.so101.action.arm_joints.norm"),
        ),
    ],
)
def test_missing_field(bundle: Path, path: str, words: tuple[str, ...]) -> None:
    delete_value(bundle, path)
    with refused(BundleError, str(bundle / "bundle.json"), *words, AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("speed", "`speed`"),
        ("image.depth", "`depth` - at `bundle.image`"),
        ("robots.so101.state.gripper.unit", "bundle.robots.so101.state.gripper"),
    ],
)
def test_unknown_field(bundle: Path, path: str, where: str) -> None:
    set_value(bundle, path, 3)
    with refused(BundleError, str(bundle / "bundle.json"), "unknown field", where, AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("chunk_length", "8", ("Expected `int`, got `str`", "`bundle.chunk_length`")),
        ("chunk_length", 0, ("Expected `int` >= 1", "`bundle.chunk_length`")),
        ("robots.so101.action_hz", 20.5, ("Expected `int`, got `float`", "`bundle.robots.so101.action_hz`")),
        ("robots.so101.max_delay", -1, ("Expected `int` >= 0", "`bundle.robots.so101.max_delay`")),
        ("robots.so101.cameras", "third_person", ("Expected `array`, got `str`", "`bundle.robots.so101.cameras`")),
        ("robots.so101.cameras", [], ("Expected `array` of length >= 1", "`bundle.robots.so101.cameras`")),
        ("robots", {}, ("Expected `object` of length >= 1", "`bundle.robots`")),
        ("robots.so101", [], ("Expected `object`, got `array`", "`bundle.robots.so101`")),
        ("noise", "none", ("'none'", "`bundle.noise`")),
        ("robots.so101.action", {}, ("Expected `object` of length >= 1", "`bundle.robots.so101.action`")),
        ("image.mean", [0.5, 0.5], ("length 3", "`bundle.image.mean`")),
        ("language.tokenizer", 3, ("Expected `str`, got `int`", "`bundle.language.tokenizer`")),
        ("graphs.chunks", [], ("Expected `array` of length >= 1", "`bundle.graphs.chunks`")),
        ("graphs.chunks.1.refinement_rounds", -1, ("`int` >= 0", "`bundle.graphs.chunks[1].refinement_rounds`")),
        ("graphs.chunks.0.inputs.0.dtype", "float64", ("'float64'", "`bundle.graphs.chunks[0].inputs[0].dtype`")),
        ("graphs.batched", [batch(1)], ("Expected `int` >= 2", "`bundle.graphs.batched[0].size`")),
        ("precision", "int4", ("'int4'", "`bundle.precision`")),
        ("robots.so101.state.gripper.rotation", "yaw", ("'yaw'", "`bundle.robots.so101.state.gripper.rotation`")),
        ("graphs.prefix.outputs.1.shape.0", "one", ("`bundle.graphs.prefix.outputs[1].shape[0]`",)),
        (
            "robots.so101.state.arm_joints.slots.1",
            "55",
            ("Expected `int`, got `str`", "`bundle.robots.so101.state.arm_joints.slots[1]`"),
        ),
        (
            "robots.so101.action.gripper.normalization.mode",
            "log",
            ("'log'", "`bundle.robots.so101.action.gripper.normalization.mode`"),
        ),
        ("files", {"chunk.onnx": 3}, ("Expected `str`, got `int`", "`bundle.files.chunk.onnx`")),
    ],
)
def test_wrong_type_or_value(bundle: Path, path: str, value: Any, words: tuple[str, ...]) -> None:
    set_value(bundle, path, value)
    with refused(BundleError, str(bundle / "bundle.json"), *words, AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("unified_width", 100, ("unified_width: expected 200, got 100",)),
        ("robots.so101.max_delay", 8, ("robots.so101.max_delay: expected less than chunk_length (8), got 8",)),
        ("robots.so101.max_delay", 9, ("robots.so101.max_delay: expected less than chunk_length (8), got 9",)),
        ("image.std", [0.2, 0.0, 0.2], ("image.std: expected positive numbers", "0.0")),
        ("image.std", [0.2, -0.1, 0.2], ("image.std: expected positive numbers", "-0.1")),
        (
            "robots.so101.state.gripper.rotation",
            "matrix",
            ("robots.so101.state.gripper.rotation: matrix fills 3 slots, 18-19 has 1",),
        ),
        (
            "robots.so101.state.arm_joints.rotation",
            "quaternion_wxyz",
            ("robots.so101.state.arm_joints.rotation", "3 slots, 50-55 has 5"),
        ),
        (
            "robots.so101.action.gripper.rotation",
            "rotation_6d",
            ("robots.so101.action.gripper.rotation: ", "'rotation_6d'"),
        ),
        ("language.prompt", "do it", ("language.prompt: expected {task_description} in it, got 'do it'",)),
        ("language.suffix", [1] * 65, ("language.suffix: expected at most max_tokens (64) ids, got 65",)),
        ("language.suffix", [3, -1], ("language.suffix: expected token ids, 0 to 2147483647, got -1",)),
        ("language.suffix", [10**30], ("language.suffix: expected token ids, 0 to 2147483647, got 1000",)),
        ("language.tokenizer", "words.json", ("files: no hash for the tokenizer words.json",)),
        ("language.tokenizer", "chunk.onnx", ("chunk.onnx is named twice",)),
        ("graphs.chunks.1.file", "chunk.onnx", ("graphs: chunk.onnx is named twice",)),
        ("graphs.chunks.1.file", "prefix.onnx", ("graphs: prefix.onnx is named twice",)),
        ("graphs.chunks.0.refinement_rounds", 1, ("chunks[0]: expected", "not guided", "with refinement_rounds 1;")),
        ("graphs.chunks.1.refinement_rounds", 0, ("chunks[1]: chunk_1.onnx is of the same kind as chunk.onnx",)),
        ("graphs.chunks.0.denoising_steps", 3, ("chunks[0]: expected", "2 denoising steps", "denoising_steps 3;")),
        ("graphs.chunks.0.views", 3, ("chunks[0]: expected the graph for prefix.onnx", "views 3;")),
        ("graphs.chunks.0.guided", True, ("chunks[0]: expected", "got chunk.onnx with refinement_rounds 0, guided;")),
        ("graphs.chunks.1.denoising_steps", 2, ("chunks[1].denoising_steps: 2, the bundle's own; leave it out",)),
        ("graphs.chunks.1.denoising_steps", 3, ("gates of chunk_1.onnx has shape [1, 2], expected [1, 3]",)),
        ("graphs.chunks.1.views", 3, ("chunks[1].views: 3, and no graph of graphs.other_prefixes has as many",)),
        ("graphs.batched", [batch(4, chunks=("a",))], ("graphs.batched[0].chunks: expected 2", "got 1")),
        ("graphs.batched", [batch(4, chunks=("a", "b", "c"))], ("graphs.batched[0].chunks: expected 2", "got 3")),
        ("graphs.batched", [batch(4), batch(2)], ("graphs.batched: expected each size once", "got [4, 2]")),
        ("graphs.batched", [batch(4), batch(4)], ("graphs.batched: expected each size once", "got [4, 4]")),
        ("graphs.batched", [batch(4, prefix="none.onnx")], ("files: no hash for the graph none.onnx",)),
        (
            "graphs.batched",
            [batch(4, "prefix.onnx", ("chunk.onnx", "none.onnx"))],
            ("files: no hash for the graph none.onnx",),
        ),
        (
            "graphs.batched",
            [batch(4, "chunk.onnx", ("prefix.onnx", "chunk_1.onnx"))],
            ("graphs: chunk.onnx is named twice",),
        ),
        ("robots.so101.action.gripper.slots", [54, 55], ("robots.so101.action.gripper.slots: 54-55 overlaps",)),
        ("robots.so101.state.gripper.slots", [50, 51], ("robots.so101.state.gripper.slots: 50-51 overlaps",)),
        (
            "robots.so101.action.gripper.slots",
            [200, 201],
            ("robots.so101.action.gripper.slots: expected a slice within 0-200, got 200-201",),
        ),
        (
            "robots.so101.state.arm_joints.slots",
            [196, 201],
            ("robots.so101.state.arm_joints.slots: expected", "0-200, got 196-201"),
        ),
        ("robots.so101.state.gripper.slots", [19, 18], ("robots.so101.state.gripper.slots: expected", "got 19-18")),
        ("robots.so101.state.gripper.slots", [18, 18], ("robots.so101.state.gripper.slots: expected", "got 18-18")),
        (
            "robots.so101.action.arm_joints.slots",
            [50, 56],
            ("robots.so101.action.arm_joints.normalization.mean: expected 6 values, got 5",),
        ),
        (
            "robots.so101.state.gripper.normalization.std",
            [1, 1],
            ("robots.so101.state.gripper.normalization.std: expected 1 values, got 2",),
        ),
        (
            "robots.so101.state.gripper.normalization",
            {"mode": "q99", "q01": [0.0, 1.0], "q99": [1.0]},
            ("robots.so101.state.gripper.normalization.q01: expected 1 values, got 2",),
        ),
        (
            "robots.so101.action.arm_joints.normalization",
            {"mode": "q99", "q01": [0.0] * 5, "q99": [1.0] * 4},
            ("robots.so101.action.arm_joints.normalization.q99: expected 5 values, got 4",),
        ),
        (
            "robots.so101.state.gripper.normalization.mean",
            [],
            ("robots.so101.state.gripper.normalization.mean: expected 1 values, got 0",),
        ),
    ],
)
def test_contradictions(bundle: Path, path: str, value: Any, words: tuple[str, ...]) -> None:
    set_value(bundle, path, value)
    with refused(BundleError, str(bundle / "bundle.json"), *words, AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["chunk.onnx", "chunk_1.onnx", "prefix.onnx", "tokenizer.json"])
def test_missing_graph_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with refused(BundleError, str(bundle / name), "missing", AGAIN):
        Policy.load(bundle)


def test_graph_without_a_hash(bundle: Path) -> None:
    delete_value(bundle, "files")
    with refused(BundleError, "bundle.json", "files: no hash for the graph prefix.onnx", AGAIN):
        Policy.load(bundle)


def test_a_key_may_be_a_rotation_or_binary(bundle: Path) -> None:
    document = manifest_of(bundle)
    document["robots"]["so101"]["state"]["base_rotation"] = {
        "slots": [73, 76],
        "normalization": {"mode": "none"},
        "rotation": "quaternion_wxyz",
    }
    document["robots"]["so101"]["state"]["door"] = {"slots": [10, 12], "normalization": {"mode": "binary"}}
    put_manifest(bundle, document)
    policy = Policy.load(bundle)
    assert policy.example_observation()["state.base_rotation"].shape == (4,)
    assert policy.infer(policy.example_observation())


def test_changed_file(bundle: Path) -> None:
    content = bytearray((bundle / "chunk.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    expected = manifest_of(bundle)["files"]["chunk.onnx"]
    (bundle / "chunk.onnx").write_bytes(content)
    with refused(BundleError, str(bundle / "chunk.onnx"), "SHA-256", expected[:12], "changed or damaged", AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize(
    "name", ["../chunk.onnx", "/etc/hostname", "a/b.onnx", "..", ".", "", "./chunk.onnx", "bundle.json"]
)
def test_files_stay_in_the_folder(bundle: Path, name: str) -> None:
    shutil.copyfile(bundle / "chunk.onnx", bundle.parent / "chunk.onnx")
    document = manifest_of(bundle)
    document["files"][name] = document["files"]["chunk.onnx"]
    document["graphs"]["chunks"][0]["file"] = name
    put_manifest(bundle, document)
    with refused(BundleError, "bundle.json", "files: expected plain file names", repr(name), AGAIN):
        Policy.load(bundle)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0.onnx"])
def test_file_names_that_no_system_has(bundle: Path, name: str) -> None:
    document = manifest_of(bundle)
    document["files"] = {name: document["files"]["chunk.onnx"], **document["files"]}
    put_manifest(bundle, document)
    with pytest.raises(BundleError):
        Policy.load(bundle)


@pytest.fixture(scope="module")
def shared_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("shared") / "tiny")


VALUES = st.sampled_from(
    [None, True, -1, 0, 1, 2, 3, 8, 200, 10**9, 10**30, 0.5, "", "x", "..", "float32", [], [0], [1, 2], {}, {"a": 1}]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in children for place in ((*path, key), *_places(child, (*path, key)))]


@settings(deadline=None, max_examples=250)
@given(data=st.data())
def test_whatever_is_changed_only_a_bundle_error_comes_out_and_what_loads_runs(shared_bundle: Path, data: Any) -> None:
    original = (shared_bundle / "bundle.json").read_text()
    document = json.loads(original)
    for _ in range(data.draw(st.integers(1, 2))):
        *parents, last = data.draw(st.sampled_from(_places(document)))
        place = document
        for key in parents:
            place = place[key]
        if data.draw(st.booleans()):
            del place[last]
        else:
            place[last] = copy.deepcopy(data.draw(VALUES))
    put_manifest(shared_bundle, document)
    try:
        with refused_at_most(BundleError):
            policy = Policy.load(shared_bundle)
            policy.infer(policy.example_observation())
    finally:
        (shared_bundle / "bundle.json").write_text(original)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_bytes_are_damaged_only_a_bundle_error_comes_out(shared_bundle: Path, data: Any) -> None:
    name = data.draw(st.sampled_from(["bundle.json", "chunk.onnx", "prefix.onnx", "tokenizer.json"]))
    original = (shared_bundle / name).read_bytes()
    damaged = bytearray(original)
    damaged[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    (shared_bundle / name).write_bytes(damaged[: data.draw(st.integers(1, len(original)))])
    try:
        with refused_at_most(BundleError):
            Policy.load(shared_bundle)
    finally:
        (shared_bundle / name).write_bytes(original)
