"""Built engines on disk: found again by everything that they depend on, and used only if they are what was written.

An entry is a folder named after the SHA-256 of its key, a table of texts: hashes of the graph and its weights, engine,
versions, device, options. `entry.json` in it holds that table in clear and the SHA-256 of every file. Entries are
written beside their place and renamed, by one process at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.bundle import file_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENVIRONMENT: Final = "UNICHUNK_ENGINE_CACHE"
"""Variable with the cache's folder."""

ENTRY_NAME: Final = "entry.json"

_PLACE: Final = re.compile("[0-9a-f]{64}")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of `entry.json`.

    Attributes:
        key: What the entry depends on.
        files: SHA-256 of every other file in it.
    """

    key: dict[str, str]
    files: dict[str, str]


def default_folder() -> Path:
    """The cache's folder where none is given: `UNICHUNK_ENGINE_CACHE`, or the user's cache folder."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "unichunk" / "engines"


def say_on_stderr(line: str) -> None:
    """A warning where people see it, and programs' output is not disturbed."""
    sys.stderr.write(f"warning: {line}\n")
    sys.stderr.flush()


class EngineCache:
    """A folder of built engines.

    Args:
        folder: Where; made when the first entry is. None for `default_folder()`.
        warn: Told, in one line, of an entry that was not trusted.
    """

    def __init__(self, folder: Path | None = None, warn: Callable[[str], None] = say_on_stderr) -> None:
        self.folder = default_folder() if folder is None else Path(folder)
        self._warn = warn

    def entry(self, key: Mapping[str, str], build: Callable[[Path], None]) -> Path:
        """Folder of the files that belong to a key: those built before, or built now.

        Whoever else asks for the same key meanwhile, in this process or another, waits for it.

        Args:
            key: All that the files depend on, by name.
            build: Writes the files into the empty folder that it is given; they are final when it returns.

        Raises:
            EngineError: The cache's folder cannot be written to.
        """
        place = self.folder / key_hash(key)
        try:
            with self._alone(place):
                if place.exists():
                    complaint = entry_complaint(place, key)
                    if complaint is None:
                        return place
                    self._warn(f"{place}: {complaint}; this engine is built again")
                self._build(place, key, build)
                return place
        except OSError as error:
            raise EngineError(
                f"{self.folder}: built engines cannot be kept there ({error}); make room or choose another folder with "
                f"--engine-cache or {ENVIRONMENT}"
            ) from None

    def drop(self, place: Path, complaint: str) -> None:
        """Remove an entry that turned out to be of no use, with a warning.

        Args:
            place: Its folder.
            complaint: Why.
        """
        with self._alone(place):
            self._warn(f"{place}: {complaint}; this engine is built again")
            _remove(place)

    def entries(self) -> list[tuple[Path, Entry | None]]:
        """All folders of entries, with what they say they are; None where that cannot be read."""
        return [(place, _read(place)) for place in self._places()]

    def clear(self) -> None:
        """Remove all entries, and what builds that were cut off have left.

        Raises:
            EngineError: Something cannot be removed.
        """
        try:
            for place in self._places():
                with self._alone(place):
                    _remove(place)
                    self._sweep(place)
        except OSError as error:
            raise EngineError(f"{self.folder}: built engines cannot be removed: {error}") from None

    def _places(self) -> list[Path]:
        """Folders of entries: named after hashes, as nothing else is that somebody may keep there."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _PLACE.fullmatch(path.name))

    def _sweep(self, place: Path) -> None:
        """Remove what is left of builds of an entry that were cut off; nobody else builds it."""
        for path in self.folder.glob(f".{place.name}-*"):
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _alone(self, place: Path) -> Iterator[None]:
        """No two build the same entry; a process that dies lets go of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{place.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _build(self, place: Path, key: Mapping[str, str], build: Callable[[Path], None]) -> None:
        self._sweep(place)
        staging = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=self.folder))
        try:
            build(staging)
            files = {path.name: file_hash(path) for path in sorted(staging.iterdir())}
            entry = msgspec.json.format(msgspec.json.encode(Entry(dict(key), files)), indent=2)
            (staging / ENTRY_NAME).write_bytes(entry + b"\n")
            _remove(place)
            staging.rename(place)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def key_hash(key: Mapping[str, str]) -> str:
    """SHA-256 of a key, hexadecimal; the order of its parts does not matter."""
    return hashlib.sha256(msgspec.json.encode(dict(sorted(key.items())))).hexdigest()


def entry_complaint(place: Path, key: Mapping[str, str]) -> str | None:
    """Why an entry is not to be trusted: damaged, of another key, or not as it was written; None if it is."""
    entry = _read(place)
    if entry is None:
        return f"its {ENTRY_NAME} is missing or damaged"
    for name in sorted(entry.key.keys() | key.keys()):
        built_for, expected = entry.key.get(name), key.get(name)
        if built_for != expected:
            return f"built for {name} {built_for or 'unknown'}, not {expected or 'unknown'}"
    found = {path.name: path for path in place.iterdir()} if place.is_dir() else {}
    found.pop(ENTRY_NAME, None)
    if found.keys() != entry.files.keys():
        odd = ", ".join(sorted(found.keys() ^ entry.files.keys()))
        return f"its files are not those that were written ({odd})"
    for name, expected in entry.files.items():
        if not found[name].is_file() or found[name].is_symlink() or file_hash(found[name]) != expected:
            return f"{name} was changed or damaged"
    return None


def _read(place: Path) -> Entry | None:
    with suppress(OSError, ValueError, RecursionError):
        return msgspec.json.decode((place / ENTRY_NAME).read_bytes(), type=Entry)
    return None


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
