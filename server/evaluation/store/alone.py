"""One service for a campaign: a second one finds out that it is not alone."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "service.lock"


class Alone:
    """Held until it is released or its process ends, however it ends.

    Raises:
        StoreUnavailable: Where another process has it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror}: the service needs to write there") from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise StoreUnavailable(f"{folder}: another process runs this campaign: end it first") from None

    def release(self) -> None:
        """Let another one begin."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
