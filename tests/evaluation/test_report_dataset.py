"""The LeRobot dataset, held against format v3.0 as lerobot 0.4 reads it."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.evaluation.report_inputs import record, small_results
from unichunk.runtime.errors import ReportError
from unichunk.server.evaluation.report import dataset as dataset_module
from unichunk.server.evaluation.report import dataset_file
from unichunk.server.evaluation.report.dataset import write_dataset
from unichunk.server.evaluation.report.dataset_stats import QUANTILES, combined, of_numbers, of_pictures
from unichunk.server.evaluation.report.episode import read_episode

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.results import Results

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


def few(amount: int = 3) -> Results:
    results = small_results()
    return dataclasses.replace(results, trials=results.trials[:amount])


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def test_it_has_every_file_and_field_of_the_format(tmp_path: Path) -> None:
    results = few()
    for seed, trial in enumerate(results.trials):
        record(tmp_path / "episodes", trial.trial, cameras=("front", "wrist"), seed=seed)
    exported = write_dataset(tmp_path / "lerobot", results, tmp_path / "episodes")
    assert (exported.episodes, exported.unrecorded, exported.left_out) == (3, 0, ())
    files = {
        str(path.relative_to(tmp_path / "lerobot")) for path in (tmp_path / "lerobot").rglob("*") if path.is_file()
    }
    assert files == {DATA, EPISODES, "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "README.md"}

    info = json.loads((tmp_path / "lerobot" / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["total_episodes"], info["total_frames"], info["total_tasks"]) == (10, 3, 36, 2)
    assert info["splits"] == {"train": "0:3"}
    assert info["data_path"].format(chunk_index=0, file_index=0) == DATA
    assert info["video_path"] is None
    assert info["features"]["action"] == {"dtype": "float32", "shape": [3], "names": ["a", "b", "c"]}
    assert info["features"]["observation.images.wrist"]["shape"] == [6, 8, 3]

    frames = pq.read_table(tmp_path / "lerobot" / DATA)
    assert frames.column_names == list(info["features"])
    assert str(frames.schema.field("action").type) == "fixed_size_list<element: float>[3]"
    assert frames.column("index").to_pylist() == list(range(36))
    assert frames.column("frame_index").to_pylist() == [*range(12)] * 3
    assert frames.column("timestamp").to_pylist()[:3] == pytest.approx([0, 0.1, 0.2])
    assert pq.read_metadata(tmp_path / "lerobot" / DATA).num_row_groups == 3

    tasks = rows(tmp_path / "lerobot" / "meta" / "tasks.parquet")
    assert tasks == [{"task_index": 0, "task": "stack the cups"}, {"task_index": 1, "task": "pour the water"}]
    about = json.loads(pq.read_schema(tmp_path / "lerobot" / "meta" / "tasks.parquet").metadata[b"pandas"])
    assert about["index_columns"] == ["task"]


def test_episodes_say_who_drove_and_what_came_out(tmp_path: Path) -> None:
    results = few(4)
    for trial in results.trials:
        record(tmp_path / "episodes", trial.trial)
    write_dataset(tmp_path / "lerobot", results, tmp_path / "episodes")
    episodes = rows(tmp_path / "lerobot" / EPISODES)
    frames = rows(tmp_path / "lerobot" / DATA)
    for trial, row in zip(results.trials, episodes, strict=True):
        assert (row["trial"], row["policy"], row["layout"]) == (trial.trial, trial.policy, trial.layout)
        assert (row["success"], row["rubric"]) == (trial.success, "".join(str(int(done)) for done in trial.rubric))
        own = frames[row["dataset_from_index"] : row["dataset_to_index"]]
        assert len(own) == row["length"]
        assert {frame["episode_index"] for frame in own} == {row["episode_index"]}
        assert {frame["policy"] for frame in own} == {trial.policy}
        assert [frame["next.done"] for frame in own] == [False] * 11 + [True]
        assert own[-1]["next.success"] is trial.success
        assert not any(frame["next.success"] for frame in own[:-1])
        assert len(row["stats/action/mean"]) == 3
        assert np.shape(row["stats/observation.images.front/mean"]) == (3, 1, 1)


def test_each_tick_has_its_row_its_newest_state_and_its_newest_picture(tmp_path: Path) -> None:
    # A client that asks every third tick and once late; pictures every fifth tick.
    record(tmp_path, "t", ticks=(100, 103, 106, 113), rows=4)
    episode = read_episode(tmp_path / "t")
    assert episode is not None
    with np.load(tmp_path / "t" / "steps.npz") as arrays:
        state, actions = arrays["state"], arrays["actions"]
    assert len(episode) == 14
    assert np.array_equal(episode.state[[0, 2, 3, 12, 13]], state[[0, 0, 1, 2, 3]])
    assert np.array_equal(episode.action[4], actions[1, 1])
    assert np.array_equal(episode.action[12], actions[2, 3])  # beyond its rows the robot held the last one
    assert episode.newest["front"].tolist() == [0] * 5 + [1] * 5 + [2] * 4


def test_pictures_are_kept_as_they_were_and_once(tmp_path: Path) -> None:
    results = few(1)
    trial = results.trials[0].trial
    record(tmp_path / "episodes", trial, ticks=tuple(range(2000)), every=500)
    write_dataset(tmp_path / "lerobot", results, tmp_path / "episodes")
    pictures = sorted((tmp_path / "episodes" / trial / "frames" / "front").iterdir())
    shown = [row["observation.images.front"] for row in rows(tmp_path / "lerobot" / DATA)]
    assert [shown[place]["bytes"] for place in (0, 499, 500, 1999)] == [
        pictures[place].read_bytes() for place in (0, 0, 1, 3)
    ]
    assert Image.open(io.BytesIO(shown[0]["bytes"])).size == (8, 6)
    metadata = pq.read_metadata(tmp_path / "lerobot" / DATA)
    columns = {metadata.row_group(0).column(i).path_in_schema: metadata.row_group(0).column(i) for i in range(8)}
    size = columns["observation.images.front.bytes"].total_uncompressed_size
    assert size < 3 * sum(path.stat().st_size for path in pictures)


def test_what_cannot_be_used_is_left_out_and_said(tmp_path: Path) -> None:
    results = few(8)
    names = [trial.trial for trial in results.trials]
    for name in names[1:]:
        record(tmp_path / "episodes", name)
    own = tmp_path / "episodes"
    (own / names[2] / "steps.npz").write_bytes(b"PK\x03\x04 cut off")
    (own / names[3] / "frames" / "front" / "000001.jpg").write_bytes(b"no picture")
    document = json.loads((own / names[4] / "episode.json").read_text())
    (own / names[4] / "episode.json").write_text(json.dumps({**document, "action_hz": 20.0}))
    (own / names[5] / "episode.json").write_text(json.dumps({**document, "joints": ["a", "b"]}))
    for picture in (own / names[6] / "frames" / "front").iterdir():
        picture.unlink()
    exported = write_dataset(tmp_path / "lerobot", results, own)
    assert (exported.episodes, exported.unrecorded) == (2, 1)
    assert [row["trial"] for row in rows(tmp_path / "lerobot" / EPISODES)] == [names[1], names[7]]
    reasons = dict(exported.left_out)
    assert list(reasons) == names[2:7]
    assert "cannot be read" in reasons[names[2]]
    assert reasons[names[3]] == "front/000001.jpg: expected a JPEG picture"
    assert reasons[names[4]] == f"its joints, rate or cameras are not those of trial {names[1]}"
    assert reasons[names[5]] == "steps.npz: expected states of shape (12, 2), got (12, 3)"
    assert reasons[names[6]] == "there is no picture of camera front"
    assert not any(str(tmp_path) in reason for reason in reasons.values())


def test_without_recordings_there_is_no_dataset(tmp_path: Path) -> None:
    exported = write_dataset(tmp_path / "lerobot", few(2), tmp_path / "episodes")
    assert (exported.episodes, exported.unrecorded) == (0, 2)
    assert not (tmp_path / "lerobot").exists()


def test_large_datasets_have_several_files_and_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = few(3)
    for trial in results.trials:
        record(tmp_path / "episodes", trial.trial)
    monkeypatch.setattr(dataset_file, "FILE_MB", 0)
    monkeypatch.setattr(dataset_file, "CHUNK", 2)
    monkeypatch.setattr(dataset_module, "BATCH", 5000)
    write_dataset(tmp_path / "lerobot", results, tmp_path / "episodes")
    places = [(row["data/chunk_index"], row["data/file_index"]) for row in rows(tmp_path / "lerobot" / EPISODES)]
    assert places == [(0, 0), (0, 1), (1, 0)]
    path = tmp_path / "lerobot" / "data" / "chunk-001" / "file-000.parquet"
    assert pq.read_table(path).column("index").to_pylist() == list(range(24, 36))
    assert pq.read_metadata(path).num_row_groups > 1


def test_the_same_recordings_give_the_same_bytes(tmp_path: Path) -> None:
    results = few(2)
    for trial in results.trials:
        record(tmp_path / "episodes", trial.trial)
    contents = []
    for name in ("one", "two"):
        write_dataset(tmp_path / name, results, tmp_path / "episodes")
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).rglob("*")) if path.is_file()])
    assert contents[0] == contents[1]


def test_statistics_combine_to_those_of_all_rows() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(size=(amount, 2)) for amount in (5, 20, 1)]
    together, of_all = combined([of_numbers(part) for part in parts]), of_numbers(np.concatenate(parts))
    for key in ("min", "max", "mean", "std"):
        assert together[key] == pytest.approx(of_all[key])
    assert together["count"] == [26]
    assert set(together) == {"min", "max", "mean", "std", "count", *QUANTILES}
    assert of_numbers(np.array([True, False]))["mean"] == [0.5]


def test_statistics_of_pictures_are_of_channels_from_zero_to_one(tmp_path: Path) -> None:
    files = []
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 0))):
        files.append(tmp_path / f"{name}.jpg")
        Image.new("RGB", (400, 320), colour).save(files[-1])
    found = of_pictures(files, 7)
    assert found["count"] == [7]
    assert np.ravel(found["mean"]) == pytest.approx([0.5, 0, 0], abs=0.01)


def test_camera_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    record(tmp_path, "t")
    document = json.loads((tmp_path / "t" / "episode.json").read_text())
    document["cameras"] = {"../../secret": {"width": 8, "height": 6}}
    (tmp_path / "t" / "episode.json").write_text(json.dumps(document))
    with pytest.raises(ReportError, match="cannot be read"):
        read_episode(tmp_path / "t")
