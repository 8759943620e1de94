"""One bundle with graphs for several numbers of views, Euler steps and rounds: each is as if compiled alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

from tests.compile.golden_files import GOLDEN
from tests.one_line import refused
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.compile_plan import plan_compilation
from unichunk.runtime.compile.robots import RobotSource
from unichunk.runtime.compile.variants import Variant, all_variants
from unichunk.runtime.errors import BundleError, CheckpointError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.contradictions import contradictions
from unichunk.server.compile_command import compile_summary

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.policy.manifest import Manifest

VIEWS = {"two": ("top_view", "wrist_view"), "one": ("wrist_view",)}
STEPS = (3, 2)
ROUNDS = 1


def sources(folder: Path) -> dict[str, RobotSource]:
    """The golden's robot with two cameras, and with one of them."""
    found = {}
    for name, views in VIEWS.items():
        key = {"eef_position": {"slots": [0, 3]}}
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "views": views, "state": key, "action": key}))
        found[name] = RobotSource(folder / f"{name}.json", "uni_posttrain", name=name)
    return found


def options(*robots: RobotSource, **changes: Any) -> CompileOptions:
    asked: dict[str, Any] = {"steps": STEPS, "refinement_rounds": ROUNDS, "instruction_tokens": 24, "seed": 5} | changes
    return CompileOptions(robots=robots, **asked)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `all`, with everything, and one bundle for each variant alone."""
    folder = tmp_path_factory.mktemp("variants")
    robots = sources(folder)
    compile_checkpoint(GOLDEN, folder / "all", options(*robots.values(), batch=(2,)))
    for name, source in robots.items():
        for steps in STEPS:
            compile_checkpoint(GOLDEN, folder / f"{name}-{steps}", options(source, steps=(steps,)))
    return folder


def observation(policy: Policy, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    example = policy.example_observation() | {"language.instruction": "put the bowl"}
    for name, value in example.items():
        if name.startswith("video."):
            example[name] = rng.integers(0, 256, value.shape, np.uint8)
        elif name.startswith("state."):
            example[name] = rng.normal(size=value.shape).astype(np.float32)
    return example


@pytest.mark.parametrize("rounds", [0, ROUNDS])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", VIEWS)
def test_each_is_as_if_compiled_alone_and_locks_every_bit(folder: Path, name: str, steps: int, rounds: int) -> None:
    together = Policy.load(folder / "all", embodiment=name, steps=steps, refinement_rounds=rounds, seed=3)
    alone = Policy.load(folder / f"{name}-{steps}", refinement_rounds=rounds, seed=3)
    rng = np.random.default_rng(steps)
    rows = together.chunk_length
    for delay in (0, 1, 5, rows):
        given = observation(together, delay)
        previous = rng.normal(size=(rows, 200)).astype(np.float32)
        # Large, and no square of it overflows: what some versions of ONNX Runtime make of that is not asked here.
        previous[0, :3] = [-0.0, 1e-42, 3e8]
        found, expected = together.infer(given, previous, delay), alone.infer(given, previous, delay)
        assert found.unified.tobytes() == expected.unified.tobytes()
        assert found.unified[:delay].tobytes() == previous[:delay].tobytes()
        assert delay == rows or np.isfinite(found.unified).all()
        if rounds:
            assert found.gates is not None
            assert expected.gates is not None
            assert found.gates.shape == (rounds, steps)
            assert found.gates.tobytes() == expected.gates.tobytes()


def test_all_share_one_file_of_weights(folder: Path) -> None:
    sizes = {path.name: (path / "weights.bin").stat().st_size for path in folder.iterdir() if path.is_dir()}
    together = sizes.pop("all")
    # Each variant has constants of its own: masks, positions, times.
    assert together < 1.1 * max(sizes.values())


def test_what_the_manifest_says(folder: Path) -> None:
    manifest = read_manifest(folder / "all")
    graphs = manifest.graphs
    assert manifest.denoising_steps == STEPS[0]
    assert manifest.provenance["denoising_steps"] == "3, 2"
    assert [graph.file for graph in (graphs.prefix, *graphs.other_prefixes)] == ["prefix.onnx", "prefix_views1.onnx"]
    assert [(graph.file, graph.views, graph.denoising_steps, graph.refinement_rounds) for graph in graphs.chunks] == [
        ("chunk.onnx", None, None, 0),
        ("chunk_mpg.onnx", None, None, 1),
        ("chunk_k2.onnx", None, 2, 0),
        ("chunk_mpg_k2.onnx", None, 2, 1),
        ("chunk_views1.onnx", 1, None, 0),
        ("chunk_mpg_views1.onnx", 1, None, 1),
        ("chunk_k2_views1.onnx", 1, 2, 0),
        ("chunk_mpg_k2_views1.onnx", 1, 2, 1),
    ]
    assert graphs.batched[0].prefix == "prefix_batch2.onnx"
    assert graphs.batched[0].chunks == tuple(f"chunk{kind}_batch2.onnx" for kind in ("", "_mpg", "_k2", "_mpg_k2"))
    said = compile_summary(folder / "all", manifest, 1.0)
    assert "graphs prefix.onnx, prefix_views1.onnx, chunk.onnx (1 + 0 rounds)" in said
    assert "chunk_mpg_k2_views1.onnx (1 + 1 rounds, K = 2, 1 views)" in said


def test_a_kind_that_is_not_there(folder: Path) -> None:
    known = "3 steps and 0 refinement rounds, 3 steps and 1 refinement rounds, 2 steps and 0 refinement rounds"
    with refused(BundleError, "no graph for 1 view with 4 steps and 0 refinement rounds", known, "--steps"):
        Policy.load(folder / "all", embodiment="one", steps=4)


def test_steps_are_given_once_each() -> None:
    with refused(CheckpointError, "denoising steps: expected each number once, got 4, 2, 4"):
        plan_compilation(GOLDEN, CompileOptions("libero_nonorm", "uni_posttrain", steps=(4, 2, 4)))


def test_the_default_is_first_and_names_differ() -> None:
    variants = all_variants((2, 1, 2), (10, 4), 2)
    assert variants[0] == Variant(2, 10, 0)
    assert len(variants) == len(set(variants)) == 8
    assert len({variant.name(variants[0]) for variant in variants}) == 8
    assert all_variants((1,), (5,), 0) == (Variant(1, 5, 0),)


def changed(manifest: Manifest, **parts: Any) -> list[str]:
    """What is wrong with a manifest whose graphs are others."""
    return list(contradictions(structs.replace(manifest, graphs=structs.replace(manifest.graphs, **parts))))


def test_what_contradicts_itself(folder: Path) -> None:
    manifest = read_manifest(folder / "all")
    graphs = manifest.graphs
    assert changed(manifest) == []
    [other] = graphs.other_prefixes
    twice = structs.replace(other, file="prefix_batch2.onnx")
    assert "graphs.other_prefixes: expected each number of views once, got [2, 1, 1]" in changed(
        manifest, other_prefixes=(other, twice)
    )
    without = tuple(graph for graph in graphs.chunks if graph.file != "chunk_views1.onnx")
    assert changed(manifest, chunks=without) == ["graphs.chunks: no graph for 1 views with refinement_rounds 0"]
    complaints = changed(manifest, other_prefixes=())
    assert "graphs.chunks[4].views: 1, and no graph of graphs.other_prefixes has as many" in complaints
    assert any(
        line.startswith("robots.one.cameras: expected 2, one for each view of prefix.onnx") for line in complaints
    )
    shapes = tuple(
        structs.replace(tensor, shape=(1, 7)) if tensor.name == "mask" else tensor for tensor in other.outputs
    )
    [first, *_] = changed(manifest, other_prefixes=(structs.replace(other, outputs=shapes),))
    assert first.startswith("graphs: mask of chunk_views1.onnx has shape [1, ")
    assert first.endswith("expected [1, 7]")
    batch = structs.replace(graphs.batched[0], chunks=graphs.batched[0].chunks[:3])
    assert (
        "expected 4 files, one for each of graphs.chunks that belongs to prefix.onnx"
        in changed(manifest, batched=(batch,))[0]
    )
