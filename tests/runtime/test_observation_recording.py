"""What a policy was asked on a run: evenly spread, kept as it was, written and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import ObservationError, ReportError
from unichunk.runtime.observation_recording import ObservationRecording
from unichunk.runtime.policy import Policy
from unichunk.runtime.recorded_observations import RecordedObservation, RecordedObservations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.result import PolicyResult


class Counting:
    """A policy that answers nothing."""

    chunk_length = 4
    max_delay = 2
    locks = True
    state_time = "observation"

    def infer(self, observation: Mapping[str, Any], previous_chunk: Any = None, delay: int = 0) -> Any:
        return observation, previous_chunk, delay

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> Any:
        return actions


@settings(max_examples=60, deadline=None)
@given(asked=st.integers(0, 700), most=st.integers(1, 9))
def test_questions_are_evenly_spread_over_the_run(asked: int, most: int) -> None:
    recording = ObservationRecording(Counting(), most)  # type: ignore[arg-type]
    for number in range(asked):
        answer: Any = recording.infer({"state.x": np.array([number])}, None, number % 3)
        assert answer[0]["state.x"][0] == number
    kept = [int(question.observation["state.x"][0]) for question in recording.questions]
    assert len(kept) == min(asked, most)
    assert kept == sorted(set(kept))
    assert [question.delay for question in recording.questions] == [number % 3 for number in kept]
    if len(kept) > 1:
        gaps = np.diff(kept)
        assert kept[0] == 0
        assert gaps.max() <= 2 * gaps.min()
        assert asked - kept[-1] <= 2 * gaps.max()


def test_what_was_asked_stays_as_it_was() -> None:
    recording = ObservationRecording(Counting())  # type: ignore[arg-type]
    state, rows = np.zeros(3), np.zeros((2, 200), np.float32)
    recording.infer({"state.x": state, "language.instruction": "go"}, rows, 1)
    state[:], rows[:] = 7, 7
    [question] = recording.questions
    assert question.observation["state.x"].tolist() == [0, 0, 0]
    assert question.observation["language.instruction"] == "go"
    assert question.previous_chunk is not None
    assert not question.previous_chunk.any()


def test_a_run_through_a_file_gives_the_same_answers(tmp_path: Path) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "tiny"))
    recording, rng = ObservationRecording(policy), np.random.default_rng(1)
    asked = policy.example_observation() | {"language.instruction": "follow the red block"}
    for name in (name for name in asked if name.startswith("video.")):
        asked[name] = rng.integers(0, 256, (30, 50, 3), np.uint8)
    rows = policy.chunk_length
    plans: list[NDArray[np.float32] | None] = [None, rng.normal(size=(rows, 200)).astype(np.float32)]
    plans.append(plans[1][:3] if plans[1] is not None else None)
    for delay, plan in enumerate(plans):
        recording.infer(asked, plan, delay)
    assert recording.save(tmp_path / "seen.npz", "so101", policy.manifest) == ""
    seen = RecordedObservations.read(tmp_path / "seen.npz")
    assert seen.embodiment == "so101"
    noise = rng.normal(size=(1, rows, 200)).astype(np.float32)
    for delay, (plan, question) in enumerate(zip(plans, seen.questions, strict=True)):
        answers: list[PolicyResult] = [
            policy.infer(asked, plan, delay, noise),
            policy.infer(question.observation, question.previous_chunk, question.delay, noise),
        ]
        assert answers[0].unified.tobytes() == answers[1].unified.tobytes()
        assert (None if question.previous_chunk is None else len(question.previous_chunk)) == (
            None if plan is None else len(plan)
        )
    size = policy.manifest.image.size
    assert {value.shape for name, value in seen.questions[0].observation.items() if "video" in name} == {
        (size, size, 3)
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seen.npz", "tiny"]


def test_a_run_without_questions_writes_nothing(tmp_path: Path) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "tiny"))
    recording = ObservationRecording(policy)
    assert "not written" in recording.save(tmp_path / "seen.npz", "so101", policy.manifest)
    assert not (tmp_path / "seen.npz").exists()


def some(**changes: Any) -> dict[str, Any]:
    arrays = {
        "embodiment": np.array("so101"),
        "delay": np.zeros(2, np.int64),
        "previous_rows": np.zeros(2, np.int64),
        "previous_chunk": np.zeros((2, 4, 200), np.float32),
        "state.x": np.zeros((2, 3)),
    }
    return {name: value for name, value in (arrays | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delay": None}, "delay is missing"),
        ({"delay": np.zeros(2)}, "delay is float64 of shape (2,)"),
        ({"delay": np.zeros((2, 1), np.int64)}, "delay is int64 of shape (2, 1)"),
        ({"embodiment": np.array(3)}, "embodiment is int64"),
        ({"previous_chunk": np.zeros((2, 200), np.float32)}, "previous_chunk is float32 of shape (2, 200)"),
        ({"state.x": np.zeros((3, 3))}, "state.x has shape (3, 3), expected 2 of each"),
        ({"previous_rows": np.zeros(1, np.int64)}, "previous_rows has shape (1,)"),
        ({"delay": np.zeros(0, np.int64)}, "holds none; record a longer run"),
        ({"state.x": np.array([None, None])}, "not a whole .npz file"),
    ],
)
def test_files_that_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "seen.npz", **some(**changes))
    with refused(ObservationError, "seen.npz", words):
        RecordedObservations.read(tmp_path / "seen.npz")


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "half.npz", **some())
    whole = (tmp_path / "half.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("nothing")
    for name in ("one.npy", "half.npz", "text.npz", "none.npz"):
        with refused(ObservationError, name):
            RecordedObservations.read(tmp_path / name)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    seen = RecordedObservations("so101", [RecordedObservation({"state.x": np.zeros(3)}, None, 0)])
    with refused(ReportError, "there/seen.npz: cannot be written"):
        seen.save(tmp_path / "there" / "seen.npz", 4)
