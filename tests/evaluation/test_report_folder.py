"""A report is there whole, or the one before it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from unichunk.runtime.errors import ReportError
from unichunk.server.evaluation.report.folder import MARK, whole_folder


def write(folder: Path, text: str) -> None:
    with whole_folder(folder) as new:
        (new / "sub").mkdir()
        (new / "sub" / "file").write_text(text)
        (new / MARK).write_text("{}")


def test_a_folder_is_written_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    write(folder, "first")
    write(folder, "second")
    assert (folder / "sub" / "file").read_text() == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_a_failure_leaves_the_older_one(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write(folder, "first")

    def fail() -> None:
        with whole_folder(folder) as new:
            (new / "half").write_text("x")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (folder / "sub" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_failing_rename_puts_the_older_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "report"
    write(folder, "first")
    rename = Path.rename

    def no_room(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", no_room)
    with pytest.raises(ReportError, match="No space left"):
        write(folder, "second")
    assert (folder / "sub" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_is_no_report_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(ReportError, match="something else than a report"):
        write(tmp_path / "home", "x")
    assert (tmp_path / "home" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(ReportError, match="is no folder"):
        write(tmp_path / "file", "x")
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with pytest.raises(ReportError, match="is no folder"):
        write(tmp_path / "link", "x")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "x")
