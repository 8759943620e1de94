"""The file of API keys: JSON, for its owner alone, hashes in it and no keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from unichunk.server.private_file import PrivateFileError, read_private, write_private
from unichunk.server.serving.key_record import BadName, KeyRecord

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

WHAT: Final = "key file"


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["unichunk-keys-1"] = "unichunk-keys-1"
    keys: tuple[KeyRecord, ...] = ()


def read_keys(path: Path) -> tuple[tuple[KeyRecord, ...], os.stat_result]:
    """The records of a key file, and the file's state when it was read.

    Raises:
        PrivateFileError: Where it cannot be read, others can read it, or it holds something else; one line.
    """
    try:
        content, state = read_private(path, WHAT)
    except PrivateFileError as error:
        if path.exists():
            raise
        raise PrivateFileError(f"{error}; `unichunk keys add` makes one") from None
    try:
        keys = msgspec.json.decode(content, type=_Document).keys
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadName) as error:
        raise PrivateFileError(f"{WHAT} {path}: {error}; `unichunk keys add` writes such files") from None
    if len({key.id for key in keys}) != len(keys):
        raise PrivateFileError(f"{WHAT} {path}: expected each id once")
    return keys, state


def write_keys(path: Path, keys: Sequence[KeyRecord]) -> None:
    """Write a key file with mode 0600, whole or not at all.

    Raises:
        PrivateFileError: Where it cannot be written; one line.
    """
    document = msgspec.json.format(msgspec.json.encode(_Document(keys=tuple(keys))), indent=2)
    write_private(path, document + b"\n", WHAT)
