"""Whether rows after a locked prefix depend on what is seen: policies that look, half look, and do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.dependence import FEWEST, HARDLY, Dependence, dependence, policy_dependence
from unichunk.runtime.recorded_observations import RecordedObservation, RecordedObservations
from unichunk.server import dependence_command
from unichunk.server.dependence_command import EXIT_HARDLY, DependenceCheck, in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

T = 12
GOALS = np.random.default_rng(3).standard_normal((24, 2)).astype(np.float32)
"""What each moment's pictures ask for."""


def going(gain: float) -> Callable[[int, int, bool], NDArray[np.float32]]:
    """Positions that go to the goal, from the prefix's end or the robot's place: a share of the way a row."""

    def predict(moment: int, seen: int, lock: bool) -> NDArray[np.float32]:
        free = np.maximum(np.arange(T) + 1 - (3 if lock else 0), 0)[:, None]
        start = 0.1 * GOALS[moment] + (0.5 if lock else 0.0)
        rows: NDArray[np.float32] = start + (1.0 - (1.0 - gain) ** free) * (GOALS[seen] - start)
        return rows.astype(np.float32)

    return predict


def fading(moment: int, seen: int, lock: bool) -> NDArray[np.float32]:
    """Forces that soon have done their work, with or without a prefix."""
    del moment
    free = np.arange(T) - (3 if lock else 0)
    rows: NDArray[np.float32] = np.where(free < 0, 0.0, 0.5 ** np.maximum(free, 0))[:, None] * GOALS[seen]
    return rows.astype(np.float32)


def trapped(moment: int, seen: int, lock: bool) -> NDArray[np.float32]:
    """Looks where nothing is locked, and goes on from its prefix where something is."""
    return going(0.3)(moment, moment if lock else seen, lock) + 0.1 * going(0.3)(moment, seen, lock)


@pytest.mark.parametrize("gain", [0.02, 0.2, 0.9])
def test_a_policy_that_looks_has_a_dependence_of_one_however_fast_it_goes(gain: float) -> None:
    """Also a slow one, which in the rows that are left of a chunk gets nowhere near its goal."""
    found = dependence(going(gain), [3] * len(GOALS))
    assert found.ratio is not None
    assert 0.97 < found.ratio < 1.01
    assert not found.hardly


def test_a_reaction_that_fades_along_the_chunk_is_not_taken_for_none() -> None:
    found = dependence(fading, [3] * len(GOALS))
    assert found.ratio is not None
    assert found.ratio > 1.0


def test_a_policy_that_goes_on_from_its_prefix_is_found_out() -> None:
    found = dependence(trapped, [3] * len(GOALS))
    assert found.ratio is not None
    assert found.ratio == pytest.approx(0.1 / 1.1, rel=0.05)
    assert found.hardly


def test_moments_without_a_prefix_are_left_out_and_few_say_nothing() -> None:
    asked = []

    def predict(moment: int, seen: int, lock: bool) -> NDArray[np.float32]:
        asked.append((moment, seen))
        return going(0.3)(moment, seen, lock)

    delays = [0, 3, 0, *[3] * (FEWEST - 2)]
    found = dependence(predict, delays)
    assert found.moments == FEWEST - 1
    assert found.ratio is None
    assert not found.hardly
    assert all(delays[moment] and delays[seen] for moment, seen in asked), "nor are their pictures shown"
    assert dependence(predict, [*delays, 3]).ratio is not None
    assert dependence(predict, [0, 0]) == Dependence(0, 0.0, 0.0)
    assert dependence(predict, [T] * FEWEST).ratio is None, "where all rows are locked there are none to look at"


def test_where_nothing_asks_for_anything_nothing_is_said() -> None:
    def still(moment: int, seen: int, lock: bool) -> NDArray[np.float32]:
        return 0.01 * going(0.5)(moment, seen, lock)

    found = dependence(still, [3] * len(GOALS))
    assert found.ratio is None
    assert not found.hardly
    assert "something to react to" in in_words(found)


class Looking:
    """Takes the place of a policy; its rows are the goal in the picture, or in the prefix."""

    robot = SimpleNamespace(action={"arm": SimpleNamespace(slots=(5, 7))})
    refinement_rounds, chunk_length, manifest = 0, T, SimpleNamespace(unified_width=200)

    def __init__(self) -> None:
        self.noise: list[bytes] = []
        self.told: list[tuple[int, int, str, int]] = []

    def infer(self, observation: dict[str, Any], previous: Any, delay: int, noise: NDArray[np.float32]) -> Any:
        seen, state = int(observation["video.front"][0, 0, 0]), int(observation["state.arm"][0])
        self.noise.append(noise.tobytes())
        assert (previous is None) == (delay == 0)
        self.told.append((state, seen, observation["language.instruction"], delay))
        unified = np.random.default_rng(0).standard_normal((T, 200)).astype(np.float32) * (seen if delay else 0)
        unified[:, 5:7] = GOALS[seen]
        return SimpleNamespace(unified=unified)


def questions(count: int, camera: str = "front") -> list[RecordedObservation]:
    return [
        RecordedObservation(
            {
                f"video.{camera}": np.full((2, 2, 3), moment, np.uint8),
                "state.arm": np.array([moment, 0.0]),
                "language.instruction": f"go {moment}",
            },
            np.zeros((T, 200), np.float32),
            3,
        )
        for moment in range(count)
    ]


def test_only_what_is_seen_is_of_another_moment_and_the_noise_is_the_same() -> None:
    policy: Any = Looking()
    found = policy_dependence(policy, questions(10))
    assert found.ratio == pytest.approx(1.0), "values outside the robot's own slots do not count"
    assert len(set(policy.noise)) == 1
    assert set(policy.told) == {
        (moment, seen, f"go {seen}", delay)
        for moment in range(10)
        for seen in (moment, (moment + 5) % 10)
        for delay in (0, 3)
    }


def recorded(path: Path, policy: Policy, count: int = 10) -> Path:
    asked = [
        RecordedObservation({**policy.example_observation(), "language.instruction": "go"}, one.previous_chunk, 3)
        for one in questions(count)
    ]
    chunk = np.zeros((policy.chunk_length, 200), np.float32)
    RecordedObservations("so101", [RecordedObservation(one.observation, chunk, 3) for one in asked]).save(
        path, policy.chunk_length
    )
    return path


def test_the_command_says_what_it_found(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tiny policy looks at nothing: nothing is said about its prefix."""
    path = recorded(tmp_path / "run.npz", Policy.load(folder))
    assert DependenceCheck(path, folder)() == 0
    said = capsys.readouterr()
    assert said.out.startswith("tiny on so101: other pictures hardly change its rows")
    assert said.out.count("\n") == 1
    assert not said.err


def test_the_command_warns_with_an_exit_status_of_its_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "run.npz", Policy.load(folder))
    monkeypatch.setattr(dependence_command, "policy_dependence", lambda *_: Dependence(32, 0.59, 1.0))
    assert DependenceCheck(path, folder)() == EXIT_HARDLY
    assert "0.59 (change of its rows by other pictures, over 32 moments, 0.590 with" in capsys.readouterr().out
    monkeypatch.setattr(dependence_command, "policy_dependence", lambda *_: Dependence(32, HARDLY, 1.0))
    assert DependenceCheck(path, folder)() == 0
    assert "WARNING" not in capsys.readouterr().out


def test_the_command_refuses_in_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert DependenceCheck(tmp_path / "none.npz", folder)() == 3
    assert "none.npz" in capsys.readouterr().err
    path = tmp_path / "other.npz"
    RecordedObservations("so101", questions(10)).save(path, T)
    assert DependenceCheck(path, folder)() == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("unichunk dependence: ")
    assert "video." in line
