"""Where a campaign's database is, if it is not in its folder; the address may hold a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.errors import StoreUnavailable
from unichunk.server.evaluation.planning.folder import DATABASE_URL
from unichunk.server.private_file import PrivateFileError, make_private_folder, read_private, write_private

if TYPE_CHECKING:
    from pathlib import Path

_WHAT = "database address"


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str


def read_url(folder: Path) -> str | None:
    """The address; None where the database is in the folder.

    Raises:
        StoreUnavailable: Where it may not be read, or the file holds something else.
    """
    path = folder / DATABASE_URL
    try:
        if not path.exists():
            return None
        return msgspec.json.decode(read_private(path, _WHAT)[0], type=_Document).url
    except (PrivateFileError, OSError) as error:
        raise StoreUnavailable(str(error)) from None
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"{path}: {error}") from None


def write_url(folder: Path, url: str) -> None:
    """Write it down, for the service alone.

    Raises:
        StoreUnavailable: Where it cannot be.
    """
    path = folder / DATABASE_URL
    try:
        make_private_folder(path.parent, "folder of secrets")
        write_private(path, msgspec.json.encode(_Document(url=url)) + b"\n", _WHAT)
    except PrivateFileError as error:
        raise StoreUnavailable(str(error)) from None
