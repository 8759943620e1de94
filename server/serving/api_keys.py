"""API keys: whose a request is, from the key that came with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from unichunk.server.private_file import PrivateFileError
from unichunk.server.serving.key_file import read_keys
from unichunk.server.serving.key_record import NOBODY, KeyRecord, split_key

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from unichunk.server.serving.identity import Identity

LOOK_EVERY_S: Final = 1.0
"""How long a change of the file may go unnoticed, [s]."""

MAX_HEADER: Final = 512
"""Longest `Authorization` header that is looked at, characters."""

_SCHEMES: Final = frozenset({"api-key", "bearer"})


class KeyRing:
    """The keys of a file, which is read again when it changes: adding and revoking need no restart.

    A file that was removed revokes all of its keys. Where the changed file cannot be used (half of an edit, open to
    others), the keys that were there stay, and `trouble` says why: robots are not stopped by a typing error, and
    whoever revoked a key can see that it did not happen.

    All methods cost microseconds and are called from one thread.

    Args:
        path: The key file.
        wall: Seconds since the epoch, for expiry.
        clock: A monotonic clock, [s], for how often to look at the file.

    Raises:
        PrivateFileError: Where it cannot be used; one line.
    """

    def __init__(
        self, path: Path, *, wall: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._wall = wall
        self._clock = clock
        self._trouble = ""
        self._keys: dict[str, KeyRecord] = {}
        self._seen: tuple[int, ...] = ()
        self._read()
        self._looked = clock()

    @property
    def trouble(self) -> str:
        """Why the changed file is not used, one line; empty where all is well."""
        self._look()
        return self._trouble

    def __len__(self) -> int:
        self._look()
        return len(self._keys)

    def identify(self, token: str | None) -> Identity | None:
        """Whose key this is.

        Args:
            token: What the client sent; anything.

        Returns:
            Its owner; None where it is no key, unknown, revoked or expired.
        """
        parts = split_key(token) if token else None
        if parts is None:
            return None
        self._look()
        known = self._keys.get(parts[0])
        # The same work for an id that is not there: how long it takes tells nothing.
        fits = (known or NOBODY).fits(parts[1])
        if known is None or not fits or not known.is_valid(self._wall()):
            return None
        return known.identity

    def is_current(self, identity: Identity) -> bool:
        """Whether somebody who was identified earlier would be so now: for connections that stay open.

        False once the key was revoked, has expired, or has another role.
        """
        self._look()
        known = self._keys.get(identity.id)
        return known is not None and known.identity == identity and known.is_valid(self._wall())

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        try:
            if _state(self._path.stat()) != self._seen:
                self._read()
        except FileNotFoundError:
            self._keys, self._seen = {}, ()
            self._trouble = f"key file {self._path}: it was removed, so no key is valid"
        except (OSError, PrivateFileError) as error:
            self._trouble = f"{error}; the keys read before stay valid"

    def _read(self) -> None:
        keys, state = read_keys(self._path)
        self._keys = {key.id: key for key in keys}
        self._seen = _state(state)
        self._trouble = ""


def key_from_header(value: str | None) -> str | None:
    """The key in an `Authorization` header: `Api-Key K` as openpi's clients send it, or `Bearer K`.

    Args:
        value: The header's value; None where it did not come.

    Returns:
        What stands where the key should; None where there is nothing such. It may be anything but a blank.
    """
    if value is None or len(value) > MAX_HEADER:
        return None
    scheme, _, key = value.strip(" \t").partition(" ")
    key = key.strip(" \t")
    return key if scheme.lower() in _SCHEMES and key and " " not in key else None


def key_from_headers(headers: Mapping[str, str]) -> str | None:
    """The key in a request's headers, their names in lower case; never one in an address, which logs would show."""
    return key_from_header(headers.get("authorization"))


def _state(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
