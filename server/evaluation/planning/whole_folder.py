"""A folder that comes into being whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.errors import BadCampaign

if TYPE_CHECKING:
    from collections.abc import Iterator

MODE: Final = 0o700
"""Of the folder: for its owner alone. Nothing in it is secret but `private/`; but it says while the campaign runs which
trial is the repetition of which void one, and so of the same policy."""


def refuse_used(out: Path, mark: str) -> None:
    """Refuse a place where something is that would be lost.

    Args:
        out: Where the folder shall be.
        mark: Name of a file that only a finished folder has.

    Raises:
        BadCampaign: Where it is neither free nor an empty folder.
    """
    if (out / mark).exists():
        raise BadCampaign(f"{out}: holds a frozen campaign already; choose another folder")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise BadCampaign(f"{out}: is there already and no folder; choose another place")
    if out.is_dir() and any(out.iterdir()):
        raise BadCampaign(f"{out}: is not empty; choose another folder")


@contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """A new folder on the same disk, for its owner alone; what is left of it in the end is removed.

    Args:
        out: Where it shall be in the end.

    Raises:
        BadCampaign: Where it cannot be made, or something in it cannot be written.
    """
    place = out.absolute()
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise BadCampaign(f"{out}: cannot be made ({error.strerror}); choose another place") from None
    try:
        yield stage
    except OSError as error:
        raise BadCampaign(f"{out}: cannot be written ({error.strerror}); nothing was frozen") from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):
            for parent in made:
                parent.rmdir()


def put_in_place(stage: Path, out: Path) -> None:
    """Give the finished folder its name, once all of it is on the disk.

    Args:
        stage: The folder; each of its files is on the disk already.
        out: Its place, free or an empty folder.
    """
    stage.chmod(MODE)
    for path in (*stage.rglob("*"), stage):
        if path.is_dir():
            _sync(path)
    stage.replace(out)
    with suppress(OSError):
        # It is in place; a power failure now could at worst take it away whole.
        _sync(out.absolute().parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
