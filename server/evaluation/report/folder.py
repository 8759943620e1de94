"""A folder that is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = "analysis.json"
"""A folder with this file is a report, and may be replaced by a new one."""


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Write a folder beside its place, then put it there.

    Args:
        folder: Where; a report that is there is replaced, anything else is refused.

    Yields:
        An empty folder to write to; it is gone where the body raises.

    Raises:
        ReportError: Where it cannot be written, or its place is taken by something else than a report.
    """
    try:
        _check(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
        try:
            yield beside
            _settle(beside)
            _put(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise ReportError(f"report {folder}: cannot be written ({error.strerror or error})") from None


def _check(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ReportError(f"report {folder}: is no folder; choose another place")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ReportError(f"report {folder}: holds something else than a report; remove it, or choose another place")


def _put(beside: Path, folder: Path) -> None:
    """Rename; a folder that is not empty cannot be replaced in one step, so the older one steps aside before."""
    beside.chmod(0o755)
    aside = beside.with_suffix(".old")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
    try:
        beside.rename(folder)
    except OSError:
        with contextlib.suppress(OSError):
            aside.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _settle(folder: Path) -> None:
    """Have everything on the disk before its name says that it is there."""
    for path in sorted(folder.rglob("*"), reverse=True):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
