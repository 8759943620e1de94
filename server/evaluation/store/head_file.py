"""`head.json`: the signed end of the log, outside of the database."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from unichunk.server.evaluation.errors import Tampered
from unichunk.server.evaluation.store.chain import Head

FILE: Final = "head.json"


class SignedHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says.

    Attributes:
        campaign: Opaque id of the campaign.
        seq: Number of the last event.
        hash: Its hash, hexadecimal.
        signature: Ed25519, hexadecimal.
    """

    campaign: str
    seq: int
    hash: str
    signature: str

    @property
    def head(self) -> Head:
        """The head itself."""
        return Head(self.seq, self.hash)


def read_head(folder: Path) -> SignedHead:
    """The signed head of a campaign's folder.

    Raises:
        Tampered: Where there is none, or something else.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=SignedHead)
    except OSError as error:
        raise Tampered(
            f"{path}: cannot be read: {error.strerror}: whether the log was cut off cannot be told"
        ) from None
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Tampered(f"{path}: {error}: expected the signed head of the log") from None


def write_head(folder: Path, head: SignedHead) -> None:
    """Replace it: whole, and on the disk when this returns.

    Raises:
        OSError: Where it cannot be written; the one before is still there.
    """
    handle, name = tempfile.mkstemp(prefix=".head.", dir=folder)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123  (of a handle)
            file.write(msgspec.json.encode(head) + b"\n")
            file.flush()
            os.fchmod(handle, 0o644)
            os.fsync(handle)
        Path(name).replace(folder / FILE)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    synchronize(folder)


def synchronize(folder: Path) -> None:
    """Have the names in a folder on the disk, not only the content of its files."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
