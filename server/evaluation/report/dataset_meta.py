"""The files under `meta/`: what the dataset is, where its episodes are, its instructions, its statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from unichunk.server.evaluation.report.dataset_file import CHUNK, FILE_MB, FILES
from unichunk.server.evaluation.report.dataset_stats import combined

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.server.evaluation.report.dataset_features import Features
    from unichunk.server.evaluation.report.dataset_stats import Stats
    from unichunk.server.evaluation.report.episode import Recorded

VERSION: Final = "v3.0"


def write_meta(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    stats: Sequence[dict[str, Stats]],
    features: Features,
    recorded: Recorded,
    tasks: Sequence[str],
) -> None:
    """Write `meta/`.

    Args:
        folder: Of the dataset.
        rows: Of `meta/episodes`, one for each episode.
        stats: Of each episode's columns.
        features: The columns.
        recorded: Names and rates of any episode.
        tasks: Instructions; their places are `task_index`.
    """
    rate = recorded.action_hz
    info = {
        "codebase_version": VERSION,
        "robot_type": recorded.robot or None,
        "total_episodes": len(rows),
        "total_frames": rows[-1]["dataset_to_index"],
        "total_tasks": len(tasks),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": FILE_MB,
        "video_files_size_in_mb": 200,
        "fps": int(rate) if rate == int(rate) else rate,
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": FILES.replace("{folder}", "data"),
        "video_path": None,
        "features": features,
    }
    meta = folder / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    _write_json(meta / "info.json", info)
    _write_json(meta / "stats.json", {name: combined([one[name] for one in stats]) for name in stats[0]})
    episodes = folder / FILES.format(folder="meta/episodes", chunk_index=0, file_index=0)
    episodes.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), episodes, compression="snappy")
    _write_tasks(meta / "tasks.parquet", tasks)


def _write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """The instructions are the table's index in the sense of pandas, under the name that lerobot gives it."""
    kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    about = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, (kind, numpy) in kinds.items()
        ],
        "pandas_version": "2.2.0",
    }
    types = [("task_index", pa.int64()), ("task", pa.string())]
    schema = pa.schema(types, metadata={"pandas": msgspec.json.encode(about)})
    table = pa.table([pa.array(range(len(tasks)), pa.int64()), pa.array(tasks)], schema=schema)
    pq.write_table(table, path, compression="snappy")


def _write_json(path: Path, document: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=4) + b"\n")
