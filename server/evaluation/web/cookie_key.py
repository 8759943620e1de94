"""The key that signs sessions, kept between starts: an operator mid-trial need not sign in again after a restart."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.web.settings import KEY_BYTES
from unichunk.server.private_file import PrivateFileError, read_private, write_private

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "cookie.key"
_WHAT: Final = "the key of the sessions"


def cookie_key(folder: Path) -> bytes:
    """The key of a campaign's sessions; made where there is none. Removing the file signs everybody out.

    Args:
        folder: The campaign's private folder.

    Raises:
        PrivateFileError: Where the file cannot be used; one line.
    """
    path = folder / FILE
    if not path.exists():
        write_private(path, secrets.token_bytes(KEY_BYTES), _WHAT, new=True)
    content, _ = read_private(path, _WHAT)
    if len(content) != KEY_BYTES:
        raise PrivateFileError(f"{_WHAT} {path}: expected {KEY_BYTES} bytes, got {len(content)}: remove it")
    return content
