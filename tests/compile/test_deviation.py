"""How far a bundle's actions are from those in float32: measured when it is compiled, said, and refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

from tests.compile.golden_files import GOLDEN
from tests.one_line import refused
from unichunk.runtime.compile import deviation
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.deviation_limit import MOST_DEVIATION, refuse_beyond
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import Deviation
from unichunk.runtime.policy.result import PolicyResult
from unichunk.runtime.recorded_observations import RecordedObservation, RecordedObservations
from unichunk.server.compile_command import compile_summary

if TYPE_CHECKING:
    from pathlib import Path

PLAIN: dict[str, Any] = {"steps": (2,), "refinement_rounds": 0, "instruction_tokens": 24}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "bundle"
    compile_checkpoint(GOLDEN, out, options())
    return out


@pytest.fixture(scope="module")
def recording(reference: Path) -> Path:
    """Of the golden's robot: one question without a plan, two with one, of which one locks nothing."""
    policy, rng = Policy.load(reference), np.random.default_rng(0)
    questions = []
    for rows, delay in ((0, 0), (16, 3), (5, 0)):
        given: dict[str, Any] = policy.example_observation() | {"language.instruction": "put the bowl"}
        for name, value in given.items():
            if name.startswith("video."):
                given[name] = rng.integers(0, 256, value.shape, np.uint8)
            elif name.startswith("state."):
                given[name] = rng.normal(size=value.shape)
        previous = rng.normal(size=(rows, 200)).astype(np.float32) if rows else None
        questions.append(RecordedObservation(given, previous, delay))
    path = reference.parent / "seen.npz"
    RecordedObservations("libero", questions).save(path, policy.chunk_length)
    return path


def options(**changes: Any) -> CompileOptions:
    return CompileOptions("libero_nonorm", "uni_posttrain", **(PLAIN | changes))


def largest_by_hand(reference: Path, bundle: Path, recording: Path, slots: list[int]) -> float:
    """The same comparison, question by question, through bundles on disk."""
    policies, rng, found = [Policy.load(path) for path in (reference, bundle)], np.random.default_rng(0), 0.0
    for question in RecordedObservations.read(recording).questions:
        noise = rng.standard_normal((1, 16, 200), np.float32)
        asked: list[tuple[Any, int]] = [(None, 0)]
        if question.previous_chunk is not None:
            asked.append((question.previous_chunk, max(1, question.delay)))
        for previous, delay in asked:
            wide, other = (policy.infer(question.observation, previous, delay, noise).unified for policy in policies)
            assert wide[:delay].tobytes() == other[:delay].tobytes()
            found = max(found, float(np.abs(wide - other)[:, slots].max()))
    return found


def test_what_is_computed_here_is_what_the_two_bundles_say(reference: Path, recording: Path, tmp_path: Path) -> None:
    manifest = compile_checkpoint(GOLDEN, tmp_path / "bundle", options(precision="int8", observations=(recording,)))
    measured = manifest.deviation
    assert measured is not None
    assert (measured.method, measured.observations) == ("computed", 3)
    assert measured.source.startswith("seen.npz (SHA-256 ")
    assert set(measured.keys) == {f"libero.action.{key}" for key in manifest.robots["libero"].action}
    slots = [slot for key in manifest.robots["libero"].action.values() for slot in range(*key.slots)]
    assert measured.largest == pytest.approx(largest_by_hand(reference, tmp_path / "bundle", recording, slots))
    assert 0 < measured.largest < MOST_DEVIATION
    assert read_manifest(tmp_path / "bundle").deviation == measured
    said = compile_summary(tmp_path / "bundle", manifest, 1.0)
    assert f"computed on 3 observations of {measured.source}: at most {measured.largest:.3g}" in said
    assert "not measured" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_counts_are_rows_of_its_own(reference: Path, recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers made up: far away in locked rows and in slots of nobody, a little in the first row that is free."""
    asked: list[tuple[int, int]] = []
    bundle = deviation.BundleFiles(reference, read_manifest(reference))

    def answers(of: deviation.BundleFiles, questions: Any) -> list[PolicyResult]:
        found = []
        for question in (one.question for one in questions):
            unified, actions = np.zeros((16, 200), np.float32), np.zeros((16, 3), np.float32)
            if of is not bundle:
                asked.append((0 if question.previous_chunk is None else len(question.previous_chunk), question.delay))
            elif question.delay:
                unified[: question.delay], unified[:, 199], unified[question.delay, 0] = 9, 9, 0.25
                actions[: question.delay], actions[question.delay] = 9, 0.5
            found.append(PolicyResult(unified, {"action.eef_position": actions}))
        return found

    monkeypatch.setattr(deviation, "_answers", answers)
    seen = {"seen": RecordedObservations.read(recording)}
    other = deviation.BundleFiles(reference, bundle.manifest)
    found = deviation.measured_deviation(other, bundle, seen, "computed")
    assert asked == [(0, 0), (0, 0), (16, 3), (0, 0), (5, 1)]
    assert (found.largest, found.keys) == (0.25, {"libero.action.eef_position": 0.5})


def test_half_precisions_are_emulated_and_the_finer_is_closer(recording: Path, tmp_path: Path) -> None:
    found = []
    for precision in ("fp16", "bf16"):
        asked = options(precision=precision, observations=(recording,), batch=(2,))
        measured = compile_checkpoint(GOLDEN, tmp_path / precision, asked).deviation
        assert measured is not None
        assert measured.method == "emulated"
        found.append(measured.largest)
    assert 0 < 4 * found[0] < found[1] < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bf16", "fp16"]


def test_a_bundle_that_is_too_far_is_not_written(recording: Path, tmp_path: Path) -> None:
    asked = options(precision="int8", observations=(recording,), max_deviation=1e-6)
    with refused(CheckpointError, "precision int8: actions deviate by", "expected 1e-06 at most", "libero.action."):
        compile_checkpoint(GOLDEN, tmp_path / "bundle", asked)
    assert not list(tmp_path.iterdir())


def test_the_limit_without_one() -> None:
    near = Deviation(observations=1, source="x", method="computed", largest=MOST_DEVIATION, keys={"a.action.b": 1.0})
    refuse_beyond(None, near, "fp16")
    further = structs.replace(near, largest=MOST_DEVIATION * 1.01)
    with refused(CheckpointError, "precision fp16: actions deviate by 0.101", "expected 0.1 at most", "a.action.b 1"):
        refuse_beyond(None, further, "fp16")
    refuse_beyond(0.2, further, "fp16")


def test_what_is_refused_before_anything_is_written(recording: Path, tmp_path: Path) -> None:
    other, empty = tmp_path / "other.npz", tmp_path / "empty.npz"
    seen = RecordedObservations.read(recording)
    replace(seen, embodiment="d1").save(other, 16)
    empty.write_bytes(b"")
    for changes, words in (
        ({"precision": "fp32", "observations": (recording,)}, ["deviation from fp32", "choose another --precision"]),
        ({"precision": "fp32", "max_deviation": 0.1}, ["deviation from fp32", "leave out", "--max-deviation"]),
        ({"max_deviation": 0.1}, ["largest deviation 0.1", "give --observations FILE"]),
        ({"max_deviation": 0.0, "observations": (recording,)}, ["largest deviation", "above 0", "got 0"]),
        ({"max_deviation": float("nan"), "observations": (recording,)}, ["largest deviation", "got nan"]),
        ({"observations": (tmp_path / "none.npz",)}, ["none.npz", "No such file"]),
        ({"observations": (empty,)}, ["empty.npz", "record it again"]),
        ({"observations": (other,)}, ["other.npz: are of d1", "the bundle drives libero"]),
    ):
        asked: dict[str, Any] = {"precision": "int8"} | changes
        with refused(CheckpointError, *words):
            compile_checkpoint(GOLDEN, tmp_path / "sub" / "bundle", options(**asked))
    assert not (tmp_path / "sub").exists()


def test_questions_that_the_policy_cannot_take_are_refused(recording: Path, tmp_path: Path) -> None:
    seen = RecordedObservations.read(recording)
    lame = [
        replace(question, observation={**question.observation, "state.x": np.zeros(2)}) for question in seen.questions
    ]
    for question in lame:
        del question.observation["video.top_view"]  # type: ignore[attr-defined]
    replace(seen, questions=lame).save(tmp_path / "lame.npz", 16)
    with refused(CheckpointError, "observations of libero: video.top_view: missing"):
        compile_checkpoint(GOLDEN, tmp_path / "b", options(precision="int8", observations=(tmp_path / "lame.npz",)))
    assert [path.name for path in tmp_path.iterdir()] == ["lame.npz"]
