"""`unichunk compile`: what it says, what it refuses, and that nothing half-written is left."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.compile.golden_files import GOLDEN, golden_config, golden_metadata, put
from tests.compile.graph_runs import unit_directions
from tests.one_line import refused
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import INSTRUCTION_TOKENS, CompileOptions
from unichunk.runtime.compile.compile_plan import plan_compilation
from unichunk.runtime.compile.directions import drawn_directions
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import BundleError, CheckpointError
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server import command_line, compile_command
from unichunk.server.compile_command import Compile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DATA = ("libero_nonorm", "uni_posttrain", "merged")


def options(**changes: Any) -> CompileOptions:
    return CompileOptions(*DATA, **changes)


def checkpoint_with(folder: Path, path: str, value: Any) -> Path:
    """The golden with another configuration."""
    shutil.copytree(GOLDEN, folder / "changed", ignore=shutil.ignore_patterns("golden.npz"))
    (folder / "changed" / "config.json").write_text(json.dumps(put(golden_config(), path, value)))
    return folder / "changed"


def test_a_bundle_and_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    out = tmp_path / "bundle"
    arguments = ["compile", str(GOLDEN), "--data-config", DATA[0], "--dataset", DATA[1], "--stats", DATA[2]]
    arguments += ["--out", str(out), "--steps", "2", "--refinement-rounds", "1", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", ["unichunk", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert said.err == ""
    for words in ("being_h05_tiny", "0.349 M parameters", "fp32", "K = 2", "T = 16", "chunk_mpg.onnx", "1 + 1 rounds"):
        assert words in said.out
    manifest = read_manifest(out)
    assert manifest.denoising_steps == 2
    assert [graph.refinement_rounds for graph in manifest.graphs.chunks] == [0, 1]
    assert manifest.embodiments == ("libero",)
    robot = manifest.robots["libero"]
    assert (robot.max_delay, robot.action_hz) == (8, 20)
    assert robot.cameras == ("top_view", "wrist_view")
    assert manifest.noise == "all"
    assert "robot libero: views top_view, wrist_view, 20 Hz, d up to 8" in said.out
    assert "seed 3" in manifest.provenance["mpg"]
    assert manifest.provenance["checkpoint"] == "being_h05_tiny"
    assert str(tmp_path) not in (out / "bundle.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "int4"}, ["precision", "'int4'", "fp32, fp16, bf16, int8"]),
        ({"steps": (0,)}, ["steps", "1 to 1000", "got 0"]),
        ({"steps": (10, 1001)}, ["steps", "1 to 1000", "got 1001"]),
        ({"refinement_rounds": -1}, ["rounds", "0 to 16", "got -1"]),
        ({"refinement_rounds": 17}, ["rounds", "0 to 16", "got 17"]),
        ({"steps": (4, 667), "refinement_rounds": 2}, ["667", "1 + 2", "at most 2000"]),
        ({"instruction_tokens": 0}, ["instruction", "1 to 4096", "got 0"]),
        ({"instruction_tokens": 4097}, ["instruction", "1 to 4096", "got 4097"]),
        ({"instruction_tokens": 10**12}, ["instruction", "1 to 4096"]),
        ({"action_hz": 0}, ["1 Hz", "got 0"]),
        ({"dataset": "x" * 300}, ["xxx", "cannot be read", "too long"]),
        ({"data_config": "x" * 300 + ".json"}, ["xxx", "cannot be read", "too long"]),
        ({"max_delay": 16}, ["delay", "0 to 15", "got 16"]),
        ({"max_delay": -1}, ["delay", "0 to 15", "got -1"]),
        ({"seed": -1}, ["seed", "got -1"]),
        ({"data_config": "franka"}, ["franka", "libero_nonorm"]),
        ({"dataset": "robocasa"}, ["robocasa", "uni_posttrain"]),
        ({"stats": "mean"}, ["mean", "merged"]),
        ({"directions": Path("nowhere.npy")}, ["nowhere.npy", "(32, 64)"]),
    ],
    ids=lambda value: ",".join(f"{name}={change}" for name, change in value.items()) if isinstance(value, dict) else "",
)
def test_what_is_refused_before_anything_is_written(changes: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    asked = dict(zip(("data_config", "dataset", "stats"), DATA, strict=True)) | changes
    with refused(CheckpointError, *words):
        compile_checkpoint(GOLDEN, tmp_path / "sub" / "bundle", CompileOptions(**asked))
    assert not list(tmp_path.iterdir())


def test_rounds_without_mpg_are_refused_and_none_are_the_default(tmp_path: Path) -> None:
    directory = checkpoint_with(tmp_path, "use_mpg", value=False)
    with refused(CheckpointError, "MPG", "expected 0", "got 2"):
        plan_compilation(directory, options(refinement_rounds=2))
    assert plan_compilation(directory, options()).rounds == 0


@pytest.mark.parametrize(("buckets", "most"), [(50, 50), (10**6, 1000)])
def test_no_more_steps_than_times_to_tell_apart_nor_than_a_graph_can_hold(
    buckets: int, most: int, tmp_path: Path
) -> None:
    directory = checkpoint_with(tmp_path, "num_timestep_buckets", buckets)
    assert plan_compilation(directory, options(steps=(most,), refinement_rounds=0)).steps == most
    with refused(CheckpointError, "steps", f"1 to {most}", f"got {most + 1}"):
        plan_compilation(directory, options(steps=(most + 1,), refinement_rounds=0))


@pytest.mark.parametrize("strength", [0.0, -0.5])
def test_gating_without_weight_is_one_plain_round(strength: float, tmp_path: Path) -> None:
    directory = checkpoint_with(tmp_path, "mpg_lambda", strength)
    with refused(CheckpointError, "MPG", "mpg_lambda", "expected 0", "got 2"):
        plan_compilation(directory, options(refinement_rounds=2))
    manifest = compile_checkpoint(directory, tmp_path / "bundle", options())
    assert [graph.refinement_rounds for graph in manifest.graphs.chunks] == [0]


@pytest.mark.parametrize(("delay", "expected"), [(None, 8), (0, 8), (1, 0), (3, 2), (16, 15), (40, 15)])
def test_the_longest_delay_is_that_of_the_training(delay: int | None, expected: int, tmp_path: Path) -> None:
    directory = checkpoint_with(tmp_path, "simulated_delay", delay)
    assert plan_compilation(directory, options()).max_delay == expected
    assert plan_compilation(directory, options(max_delay=5)).max_delay == 5


def test_whose_state_the_training_told_the_bundle_tells(tmp_path: Path, capsys: Any) -> None:
    for name in ("observation", "takeover"):
        directory, bundle = checkpoint_with(tmp_path / name, "state_time", name), tmp_path / name / "bundle"
        assert command(bundle, checkpoint=directory, steps=(1,), refinement_rounds=0)() == 0
        assert read_manifest(bundle).state_time == name
        assert ("state that is expected" in capsys.readouterr().out) == (name == "takeover")


@pytest.mark.parametrize(("trained", "delay", "longest"), [(True, 4, 3), (True, 0, 8), (False, 4, 8)])
def test_a_checkpoint_that_never_saw_locked_prefixes_is_said_to_be_one(
    trained: bool, delay: int, longest: int, tmp_path: Path, capsys: Any
) -> None:
    directory = checkpoint_with(tmp_path, "simulated_delay", delay)
    document = json.loads((directory / "config.json").read_bytes()) | {"use_training_time_rtc": trained}
    (directory / "config.json").write_text(json.dumps(document))
    assert command(tmp_path / "bundle", checkpoint=directory, steps=(1,), refinement_rounds=0)() == 0
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.robots["libero"].max_delay == longest
    said = capsys.readouterr().out
    if trained and delay:
        assert "not trained" not in said
        assert manifest.provenance["locked_prefixes"] == "trained with 0 to 3 rows"
    else:
        assert "  note: not trained with locked prefixes" in said
        assert "up to 8 of 16 rows" in said
        assert manifest.provenance["locked_prefixes"] == "not trained with locked prefixes"


@pytest.mark.parametrize("trained", [True, False])
def test_guided_graphs_are_for_checkpoints_that_never_saw_locked_prefixes(
    trained: bool, tmp_path: Path, capsys: Any
) -> None:
    directory = checkpoint_with(tmp_path, "simulated_delay", 4)
    document = json.loads((directory / "config.json").read_bytes()) | {"use_training_time_rtc": trained}
    (directory / "config.json").write_text(json.dumps(document))
    asked = {"steps": (2, 1), "refinement_rounds": 0, "batch": (2,)}
    assert command(tmp_path / "bundle", checkpoint=directory, guided=True, **asked)() == 0
    graphs = read_manifest(tmp_path / "bundle").graphs
    assert [(graph.file, graph.denoising_steps, graph.guided) for graph in graphs.chunks] == [
        ("chunk.onnx", None, False),
        ("chunk_guided.onnx", None, True),
        ("chunk_k1.onnx", 1, False),
        ("chunk_guided_k1.onnx", 1, True),
    ]
    assert [batch.chunks for batch in graphs.batched] == [("chunk_batch2.onnx", "chunk_k1_batch2.onnx")]
    said = capsys.readouterr().out
    assert "chunk_guided_k1.onnx (1 + 0 rounds, K = 1, guided)" in said
    assert ("guided graphs are for checkpoints that were not trained with locked prefixes" in said) == trained


def test_the_rate_of_the_actions_may_be_given(tmp_path: Path) -> None:
    directory = checkpoint_with(tmp_path, "mpg_lambda", 0.1)
    metadata = golden_metadata()
    put(metadata, "uni_posttrain.modalities.video.top_view.fps", 29.97)
    put(metadata, "uni_posttrain.modalities.video.wrist_view.fps", None)
    (directory / "uni_posttrain_metadata.json").write_text(json.dumps(metadata))
    with refused(CheckpointError, "29.97", "None", "--action-hz"):
        plan_compilation(directory, options())
    manifest = compile_checkpoint(directory, tmp_path / "bundle", options(action_hz=30, steps=(1,)))
    assert manifest.robots["libero"].action_hz == 30
    assert plan_compilation(GOLDEN, options(action_hz=7)).robots[0].action_hz == 7


@pytest.mark.parametrize("given", ["0", None])
def test_directions_without_rounds_are_noted(given: str | None, tmp_path: Path, capsys: Any) -> None:
    directory = checkpoint_with(tmp_path, "use_mpg", value=False) if given is None else GOLDEN
    asked = {"refinement_rounds": int(given)} if given else {}
    out = tmp_path / "bundle"
    assert command(out, checkpoint=directory, mpg_directions=Path("any/some.npy"), steps=(1,), **asked)() == 0
    assert "note: directions some.npy not used: no refinement rounds" in capsys.readouterr().out
    assert "mpg" not in read_manifest(out).provenance


def test_sentences_of_ordinary_length_fit_without_an_option(tmp_path: Path) -> None:
    """Where a tiny vocabulary spells them letter by letter."""
    random_checkpoint(tmp_path / "some", Sizes(vocabulary=265))
    plan = plan_compilation(tmp_path / "some", options())
    sentence = "put both the alphabet soup and the tomato sauce in the basket and close the top drawer"
    tokens = len(plan.prompt.text_ids(sentence))
    assert tokens - len(plan.prompt.text_ids("")) > 64
    assert tokens <= plan.sequence.max_text


def _scaled(index: int, factor: float) -> NDArray[np.float32]:
    directions = unit_directions(32, 64)
    directions[index] *= factor
    return directions


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (unit_directions(31, 64), ["(32, 64)", "(31, 64)"]),
        (unit_directions(32, 64).reshape(-1), ["(32, 64)", "(2048,)"]),
        (_scaled(5, 2.0), ["unit", "direction 5", "length 2"]),
        (_scaled(3, np.nan), ["unit", "direction 3", "nan"]),
        (np.ones((32, 64), np.int64), ["floats", "int64"]),
        (b"no array", [".npy"]),
        (b"", [".npy"]),
    ],
)
def test_directions_that_are_refused(content: Any, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "directions.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with refused(CheckpointError, "directions.npy", *words):
        plan_compilation(GOLDEN, options(directions=path))


def test_drawn_directions_are_unit_vectors_of_the_seed() -> None:
    first = drawn_directions(32, 64, 1)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0, rtol=1e-6)
    assert np.array_equal(first, drawn_directions(32, 64, 1))
    assert not np.array_equal(first, drawn_directions(32, 64, 2))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes the reading of one of the last weights fail."""

    def fail(error: BaseException) -> None:
        read = Checkpoint.tensor

        def tensor(self: Checkpoint, name: str) -> NDArray[Any]:
            if name == "action_decoder.layer2.weight":
                raise error
            return read(self, name)

        monkeypatch.setattr(Checkpoint, "tensor", tensor)

    return fail


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CheckpointError("the shard was truncated meanwhile"), CheckpointError),
        (OSError(28, "No space left on device"), BundleError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["checkpoint", "disk", "interrupt"],
)
def test_nothing_half_written_is_left(
    failing: Callable[[BaseException], None], error: BaseException, expected: type[BaseException], tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    compile_checkpoint(GOLDEN, out, CompileOptions(*DATA, steps=(1,), refinement_rounds=0))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    failing(error)
    for target in (out, tmp_path / "new" / "bundle"):
        with pytest.raises(expected):
            compile_checkpoint(GOLDEN, target, CompileOptions(*DATA))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with refused(BundleError, str(tmp_path), "not a bundle"):
        compile_checkpoint(GOLDEN, tmp_path, CompileOptions(*DATA))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def command(out: Path, **changes: Any) -> Compile:
    arguments: dict[str, Any] = {"checkpoint": GOLDEN, "data_config": DATA[0], "dataset": DATA[1], "out": out}
    return Compile(**(arguments | changes))


def test_a_refusal_is_one_line_and_status_3(tmp_path: Path, capsys: Any) -> None:
    assert command(tmp_path / "bundle", precision="fp8")() == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("unichunk compile: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("error", [MemoryError(), np._core._exceptions._ArrayMemoryError((9,), np.dtype("f4"))])  # type: ignore[attr-defined]
def test_too_little_memory_is_one_line(
    failing: Callable[[BaseException], None], error: MemoryError, tmp_path: Path, capsys: Any
) -> None:
    failing(error)
    assert command(tmp_path / "bundle")() == 3
    said = capsys.readouterr().err
    assert said.startswith("unichunk compile: not enough memory")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(compile_command, "find_spec", lambda name: None if name == "onnx" else object())
    assert command(tmp_path / "bundle")() == 3
    assert capsys.readouterr().err == "unichunk compile: onnx not installed; pip install 'unichunk[compile]'\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_what_the_cpu_cannot_do_is_said(precision: str, tmp_path: Path, capsys: Any) -> None:
    assert command(tmp_path / "bundle", precision=precision, steps=(1,), refinement_rounds=0)() == 0
    assert "CPU provider has no" in capsys.readouterr().out


def test_the_command_and_the_function_take_the_same_options() -> None:
    assert set(CompileOptions.__dataclass_fields__) - {"directions", "robots"} == set(Compile.__dataclass_fields__) - {
        "checkpoint",
        "out",
        "mpg_directions",
        "robot",
    }
    assert Compile.instruction_tokens == INSTRUCTION_TOKENS
