"""What is kept of a trial: all of it or a reason why not, and never at the expense of whoever drives the robot."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from PIL import Image

from unichunk.embodiments.catalogue import load_spec
from unichunk.server.evaluation.blinding import episodes
from unichunk.server.evaluation.blinding.episodes import EpisodeRecorder, Step

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SPEC = load_spec("so101")
N = len(SPEC.joints)
H = 4


def step(number: int) -> Step:
    """A step every two ticks, 0.1 s apart."""
    image = np.full((12, 16, 3), number, np.uint8)
    rows = np.full((H, N), number, np.float32)
    return Step(100 + 2 * number, np.full(N, number, np.float32), rows, 50.0 + 0.1 * number, {"third_person": image})


def record(folder: Path, steps: int, fps: float = 5.0) -> tuple[EpisodeRecorder, list[str]]:
    written: list[str] = []
    recorder = EpisodeRecorder(folder, "a" * 16, SPEC, fps, written.append)
    for number in range(steps):
        recorder.step(step(number))
    recorder.finish()
    assert recorder.join(20.0)
    return recorder, written


def test_an_episode_has_steps_pictures_and_the_hashes_of_all(tmp_path: Path) -> None:
    folder = tmp_path / "episodes" / ("a" * 16)
    recorder, written = record(folder, 10)
    assert recorder.failure == ""
    content = (folder / "episode.json").read_bytes()
    assert written == [hashlib.sha256(content).hexdigest()]
    episode = msgspec.json.decode(content)
    assert (episode["trial"], episode["steps"], episode["dropped"]) == ("a" * 16, 10, 0)
    # 20 ticks at 20 Hz are 1 s: 5 pictures, as ticks go.
    assert episode["pictures"] == 5
    assert episode["cameras"] == {"third_person": {"width": 16, "height": 12}}
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"episode.json"}
    assert names == set(episode["sha256"])
    for name, sha256 in episode["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    with np.load(folder / "steps.npz", allow_pickle=False) as steps:
        np.testing.assert_array_equal(steps["tick"], 100 + 2 * np.arange(10))
        assert steps["state"].shape == (10, N)
        assert steps["actions"].shape == (10, H, N)
        np.testing.assert_allclose(steps["timestamps"], 0.1 * np.arange(10), atol=1e-9)
        assert steps["frames.third_person"].tolist() == [100, 104, 108, 112, 116]
    with Image.open(folder / "frames" / "third_person" / "000002.jpg") as picture:
        assert picture.getpixel((3, 3)) == (2, 2, 2)


def test_a_trial_without_a_request_is_an_episode_too(tmp_path: Path) -> None:
    recorder, written = record(tmp_path / "episode", 0)
    assert recorder.failure == ""
    assert len(written) == 1
    with np.load(tmp_path / "episode" / "steps.npz") as steps:
        assert steps["actions"].shape == (0, 0, N)


def test_an_episode_is_never_written_over_another(tmp_path: Path) -> None:
    record(tmp_path / "episode", 2)
    before = (tmp_path / "episode" / "episode.json").read_bytes()
    recorder, written = record(tmp_path / "episode", 3)
    assert "cannot be written (File exists)" in recorder.failure
    assert written == []
    assert (tmp_path / "episode" / "episode.json").read_bytes() == before


def test_a_disk_that_fills_up_costs_the_episode_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(episodes.os, "fsync", full)
    recorder, written = record(tmp_path / "episode", 5)
    assert "No space left on device" in recorder.failure
    assert "\n" not in recorder.failure
    assert written == []
    assert not (tmp_path / "episode" / "episode.json").exists() or not written


def test_pictures_that_the_disk_cannot_follow_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episodes, "MOST_WAITING", 2)
    go_on = episodes.threading.Event()
    encode = episodes.encode_jpeg
    monkeypatch.setattr(episodes, "encode_jpeg", lambda *given: (go_on.wait(20), encode(*given))[1])
    recorder = EpisodeRecorder(tmp_path / "episode", "a" * 16, SPEC, 20.0)
    for number in range(12):
        recorder.step(step(number))
    go_on.set()
    recorder.finish()
    assert recorder.join(20.0)
    episode = msgspec.json.decode((tmp_path / "episode" / "episode.json").read_bytes())
    assert episode["steps"] == 12
    assert episode["pictures"] + episode["dropped"] == 12
    assert episode["dropped"] >= 9
