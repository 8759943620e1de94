"""Files that hold secrets: read only where others cannot, written whole and for their owner alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 1 << 20
"""Longest file of this kind."""

_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP


class PrivateFileError(UnichunkError):
    """A file with secrets that cannot be read, that others can read, or that cannot be written."""


def read_private(path: Path, what: str, *, secret: bool = True) -> tuple[bytes, os.stat_result]:
    """Read a file that others must not.

    The group may read it: that is how service managers and container platforms hand out secrets (0440).

    Args:
        path: The file.
        what: What to call it in messages: `the key file`.
        secret: Whether anybody else may read it; False for public keys.

    Returns:
        Its content, and its state when it was opened.

    Raises:
        PrivateFileError: Where it cannot be read, is no file, is too long, or is open to others; one line.
    """
    try:
        # Not blocking: a pipe in its place would never open.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise PrivateFileError(f"{what} {path}: cannot be read: {_reason(error)}") from None
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise PrivateFileError(f"{what} {path}: expected a file")
    with open(handle, "rb") as file:  # noqa: PTH123  (of a handle)
        if secret and state.st_mode & _OTHERS:
            mode = stat.S_IMODE(state.st_mode)
            raise PrivateFileError(f"{what} {path}: others may use it (mode {mode:04o}): chmod 600 {path}")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PrivateFileError(f"{what} {path}: expected at most {MAX_BYTES} bytes")
    return content, state


def write_private(path: Path, content: bytes, what: str, *, mode: int = 0o600, new: bool = False) -> None:
    """Write a file for its owner alone: whole or not at all, never open to others in between.

    Where root writes, the file belongs to whom the one that it replaces belonged, else to whom its folder belongs: a
    service that runs as another user can still read it.

    Args:
        path: The file.
        content: What it shall hold.
        what: What to call it in messages.
        mode: Its permissions.
        new: Refuse to replace a file.

    Raises:
        PrivateFileError: Where it cannot be written, or is there already; one line.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123  (of a handle)
                file.write(content)
                file.flush()
                os.fchmod(handle, mode)
                _give_away(handle, path if path.exists() else path.parent)
                os.fsync(handle)
            put = _link if new else os.replace
            put(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
    except FileExistsError:
        raise PrivateFileError(f"{what} {path}: is there already; remove it, or choose another place") from None
    except (OSError, ValueError) as error:
        raise PrivateFileError(f"{what} {path}: cannot be written: {_reason(error)}") from None


def change_private(path: Path, change: Callable[[], None], what: str) -> None:
    """Change a file while no other command changes it.

    Args:
        path: The file; its folder is locked meanwhile.
        change: Reads and writes it.
        what: What to call it in messages.

    Raises:
        PrivateFileError: Where the folder cannot be opened.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise PrivateFileError(f"{what} {path}: cannot be written: {_reason(error)}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        change()
    finally:
        os.close(folder)


def make_private_folder(path: Path, what: str) -> None:
    """Make a folder for its owner alone, where there is none; its owner is as with `write_private`.

    Args:
        path: The folder.
        what: What to call it in messages.

    Raises:
        PrivateFileError: Where it cannot be made; one line.
    """
    try:
        if path.is_dir():
            return
        path.mkdir(mode=0o700, parents=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _give_away(handle, path.parent)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        raise PrivateFileError(f"{what} {path}: cannot be made: {_reason(error)}") from None


def _link(name: str, path: Path) -> None:
    """As `os.replace`, but never over a file that is there."""
    os.link(name, path)


def _give_away(handle: int, like: Path) -> None:
    if os.geteuid() == 0:
        owner = like.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
