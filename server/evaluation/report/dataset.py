"""The recorded trials as a LeRobot dataset, format v3.0, that `LeRobotDataset(repo_id, root=...)` loads.

One episode for each trial that counts and was recorded, one row for each tick. Pictures are kept as they were recorded
(JPEG, feature type `image`), so no video codec is needed; a row has the newest picture of its tick. They repeat between
two pictures, which costs next to nothing: Parquet keeps equal values of a column once.

The format: https://huggingface.co/docs/lerobot/lerobot-dataset-v3, and the package `lerobot.datasets` of lerobot 0.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from unichunk.runtime.errors import ReportError
from unichunk.server.evaluation.report.dataset_card import card
from unichunk.server.evaluation.report.dataset_features import arrow_schema, features_of
from unichunk.server.evaluation.report.dataset_file import DataFiles
from unichunk.server.evaluation.report.dataset_meta import write_meta
from unichunk.server.evaluation.report.dataset_stats import of_numbers, of_pictures
from unichunk.server.evaluation.report.episode import read_episode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from unichunk.server.evaluation.report.dataset_features import Features
    from unichunk.server.evaluation.report.dataset_stats import Stats
    from unichunk.server.evaluation.report.episode import Episode
    from unichunk.server.evaluation.results import Results, ScoredTrial

BATCH: Final = 256 << 20
"""Pictures of so many bytes are put together at once, repetitions counted."""


@dataclass(frozen=True)
class Exported:
    """What became of the recorded trials.

    Attributes:
        episodes: How many the dataset has; with none there is no dataset, as the format has no empty one.
        unrecorded: Trials that count of which nothing was recorded.
        left_out: Trials whose recording cannot be read or does not fit the others: id, and why.
    """

    episodes: int
    unrecorded: int
    left_out: tuple[tuple[str, str], ...]


NOTHING: Final = Exported(0, 0, ())


def write_dataset(folder: Path, results: Results, episodes: Path) -> Exported:
    """Write the dataset.

    Args:
        folder: Where to; made here if there is an episode.
        results: What was recorded; its trials give the order.
        episodes: The folder with a folder for each trial.
    """
    export = _Export(folder, results)
    for trial in results.trials:
        try:
            export.add(trial, read_episode(episodes / trial.trial))
        except ReportError as error:
            export.left_out.append((trial.trial, str(error)))
        except BaseException:
            export.close()
            raise
    return export.finish()


@dataclass
class _Export:
    folder: Path
    results: Results
    first: Episode | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    stats: list[dict[str, Stats]] = field(default_factory=list)
    unrecorded: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    _files: DataFiles | None = None
    _features: Features = field(default_factory=dict)

    def add(self, trial: ScoredTrial, episode: Episode | None) -> None:
        """Add a trial's episode; raises `ReportError` where it is not what the others are."""
        if episode is None:
            self.unrecorded += 1
            return
        _check(episode, self.first or episode)
        columns = self._columns(trial, episode)
        stats = {name: of_numbers(values) for name, values in columns.items()}
        for camera, files in episode.pictures.items():
            stats[f"observation.images.{camera}"] = of_pictures(files, len(episode))
        if self._files is None:
            self.first, self._features = episode, features_of(episode)
            self._files = DataFiles(self.folder, arrow_schema(self._features))
        place = self._files.write(_tables(trial, episode, columns, self._files.schema))
        self.rows.append(self._row(trial, len(episode), place, stats))
        self.stats.append(stats)

    def close(self) -> None:
        """Let go of the data file."""
        if self._files is not None:
            self._files.close()

    def finish(self) -> Exported:
        """Write what is about all episodes."""
        self.close()
        exported = Exported(len(self.rows), self.unrecorded, tuple(self.left_out))
        if self.first is not None:
            recorded = self.first.recorded
            write_meta(self.folder, self.rows, self.stats, self._features, recorded, self._tasks())
            text = card(self.results, exported.episodes, self.first)
            (self.folder / "README.md").write_text(text, encoding="utf-8")
        return exported

    def _columns(self, trial: ScoredTrial, episode: Episode) -> dict[str, Any]:
        """The columns of numbers."""
        amount = len(episode)
        last = np.arange(amount) == amount - 1
        return {
            "observation.state": episode.state,
            "action": episode.action,
            "next.done": last,
            "next.success": last & trial.success,
            "timestamp": (np.arange(amount) / episode.recorded.action_hz).astype(np.float32),
            "frame_index": np.arange(amount),
            "episode_index": np.full(amount, len(self.rows)),
            "index": np.arange(self._frames(), self._frames() + amount),
            "task_index": np.full(amount, self._tasks().index(self._instruction(trial))),
        }

    def _row(self, trial: ScoredTrial, amount: int, place: tuple[int, int], stats: dict[str, Stats]) -> dict[str, Any]:
        """Of `meta/episodes`; the columns of ours beside the format's are kept by its readers."""
        return {
            "episode_index": len(self.rows),
            "tasks": [self._instruction(trial)],
            "length": amount,
            "data/chunk_index": place[0],
            "data/file_index": place[1],
            "dataset_from_index": self._frames(),
            "dataset_to_index": self._frames() + amount,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            "trial": trial.trial,
            "policy": trial.policy,
            "layout": trial.layout,
            "success": trial.success,
            "rubric": "".join(str(int(done)) for done in trial.rubric),
            **{f"stats/{name}/{key}": value for name, of in stats.items() for key, value in of.items()},
        }

    def _frames(self) -> int:
        return self.rows[-1]["dataset_to_index"] if self.rows else 0

    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(task.instruction for task in self.results.plan.campaign.tasks))

    def _instruction(self, trial: ScoredTrial) -> str:
        return next(task.instruction for task in self.results.plan.campaign.tasks if task.name == trial.task)


def _tables(trial: ScoredTrial, episode: Episode, columns: Mapping[str, Any], schema: Any) -> Iterator[Any]:
    """An episode's rows, in as few tables as the memory permits."""
    pictures = {
        f"observation.images.{name}": [{"bytes": path.read_bytes(), "path": f"{name}-{path.name}"} for path in files]
        for name, files in episode.pictures.items()
    }
    size = sum(max(len(picture["bytes"]) for picture in shown) for shown in pictures.values())
    step = max(BATCH // max(size, 1), 1)
    for start in range(0, len(episode), step):
        part = slice(start, min(start + step, len(episode)))
        amount = part.stop - part.start
        rows: dict[str, Any] = {name: _column(values[part]) for name, values in columns.items()}
        for name, newest in episode.newest.items():
            shown = pictures[f"observation.images.{name}"]
            rows[f"observation.images.{name}"] = [shown[place] for place in newest[part]]
        rows |= {"policy": [trial.policy] * amount, "layout": [trial.layout] * amount}
        yield pa.Table.from_pydict({name: rows[name] for name in schema.names}, schema=schema)


def _column(values: Any) -> Any:
    # A row of a matrix is a list of a fixed length.
    if values.ndim == 1:
        return values
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _check(episode: Episode, first: Episode) -> None:
    """One dataset has one robot: the same joints, rate and cameras."""
    mine, other = episode.recorded, first.recorded
    blind = sorted(set(mine.cameras) - set(episode.pictures))
    if blind:
        raise ReportError(f"there is no picture of camera {blind[0]}")
    if (mine.joints, mine.action_hz, mine.cameras) != (other.joints, other.action_hz, other.cameras):
        raise ReportError(f"its joints, rate or cameras are not those of trial {other.trial}")
