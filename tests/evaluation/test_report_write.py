"""The whole report in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.evaluation.report_inputs import record, small_analysis, small_results
from unichunk.runtime.errors import ReportError
from unichunk.server.evaluation.report import write
from unichunk.server.evaluation.report.write import write_report
from unichunk.server.evaluation.statistics.document import AnalysisResult

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "analysis.json",
    "deviations.csv",
    "guesses.csv",
    "lerobot",
    "preferences.csv",
    "report.html",
    "report.pdf",
    "second_scores.csv",
    "trials.csv",
    "trials.parquet",
    "voids.csv",
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written_the_same_way_every_time(tmp_path: Path) -> None:
    results, analysis = small_results(), small_analysis()
    record(tmp_path / "episodes", results.trials[0].trial)
    written = write_report(results, analysis, tmp_path / "report", tmp_path / "episodes")
    assert written == [tmp_path / "report" / name for name in NAMES]
    first = contents(tmp_path / "report")
    assert msgspec.json.decode(first["analysis.json"], type=AnalysisResult) == analysis
    assert first["trials.csv"].count(b"\r\n") == len(results.trials) + 1
    assert str(tmp_path).encode() not in b"".join(first.values())
    write_report(results, analysis, tmp_path / "report", tmp_path / "episodes")
    assert contents(tmp_path / "report") == first


def test_without_recordings_there_is_no_dataset(tmp_path: Path) -> None:
    written = write_report(small_results(), small_analysis(), tmp_path / "report")
    assert [path.name for path in written] == [name for name in NAMES if name != "lerobot"]


def test_a_full_disk_leaves_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(small_results(), small_analysis(), tmp_path / "report")
    before = contents(tmp_path / "report")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "write_trials", full)
    with pytest.raises(ReportError, match=r"cannot be written \(No space left on device\)"):
        write_report(small_results(), small_analysis(), tmp_path / "report")
    assert contents(tmp_path / "report") == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
