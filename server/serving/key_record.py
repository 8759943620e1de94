"""One API key: its text, which only its owner has, and its record, which only the server has.

A key reads `uck_<id>_<secret>`: the id (40 bit) finds the record and may be seen by anybody, the secret (256 bit)
proves the key. The record holds SHA-256 of a salt and the secret. Slow hashes (scrypt, Argon2) make guessing expensive
where people choose the secret; nobody guesses 256 random bits however fast the hash is, so a fast one gives nothing
away, and GR00T's clients send their key with every request: checking it has to cost microseconds. The salt makes the
records of two servers differ even if somebody put the same key into both. The digests are compared in constant time; an
unknown id takes the same work as a wrong secret, so that time does not tell which ids exist.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime, timezone
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.identity import Identity, Role

PREFIX: Final = "uck_"
"""Beginning of every key, by which scanners find one that was published."""

MAX_NAME: Final = 64

_ID_BYTES: Final = 5
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
_KEY: Final = re.compile(r"uck_([a-z2-7]{8})_([a-z2-7]{52})", re.ASCII)
_HEX: Final = r"\A[0-9a-f]*\Z"

Moment = Annotated[datetime, Meta(tz=True)]


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server keeps of a key.

    Attributes:
        id: Of the key.
        name: Whose it is, one printable line.
        role: What it may do.
        salt: Hexadecimal, 16 bytes.
        sha256: Of the salt and the secret's text, hexadecimal.
        created: When.
        expires: From when on it is worth nothing; None: never.
    """

    id: Annotated[str, Meta(pattern=r"\A[a-z2-7]{8}\Z")]
    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    role: Role
    salt: Annotated[str, Meta(min_length=2 * _SALT_BYTES, max_length=2 * _SALT_BYTES, pattern=_HEX)]
    sha256: Annotated[str, Meta(min_length=64, max_length=64, pattern=_HEX)]
    created: Moment
    expires: Moment | None = None

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def identity(self) -> Identity:
        """Who has the key."""
        return Identity(self.id, self.name, self.role)

    def is_valid(self, now_s: float) -> bool:
        """Whether it has not expired.

        Args:
            now_s: Seconds since the epoch, as `time.time()`.
        """
        return self.expires is None or now_s < self.expires.timestamp()

    def fits(self, secret: str) -> bool:
        """Whether a secret is this key's; takes the same time for every wrong one."""
        return hmac.compare_digest(_digest(self.salt, secret), self.sha256)


class BadName(UnichunkError, ValueError):
    """A name that cannot stand in a log or a list."""


def check_name(name: str) -> str:
    """Return a key's name: 1 to 64 printable characters, so that nothing written with it can look like another line.

    Raises:
        BadName: Where it is not that.
    """
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise BadName(
            f"name {name[: 2 * MAX_NAME]!r}: expected 1 to {MAX_NAME} printable characters, for example arm-3"
        )
    return name


def new_key(name: str, role: Role, now: datetime, expires: datetime | None = None) -> tuple[str, KeyRecord]:
    """Make a key.

    Args:
        name: Whose it is.
        role: What it may do.
        now: Now, with a time zone.
        expires: When it ends, with a time zone; None: never.

    Returns:
        Its text, to be shown once and kept nowhere, and its record.

    Raises:
        BadName: Where the name cannot be one.
    """
    key_id = _base32(secrets.token_bytes(_ID_BYTES))
    secret = _base32(secrets.token_bytes(_SECRET_BYTES))
    salt = secrets.token_hex(_SALT_BYTES)
    record = KeyRecord(
        id=key_id,
        name=check_name(name),
        role=role,
        salt=salt,
        sha256=_digest(salt, secret),
        created=now,
        expires=expires,
    )
    return f"{PREFIX}{key_id}_{secret}", record


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key's text; None where it is no key's."""
    match = _KEY.fullmatch(text)
    return None if match is None else (match[1], match[2])


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256((salt + secret).encode()).hexdigest()


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


_PAST: Final = datetime(2000, 1, 1, tzinfo=timezone.utc)
NOBODY: Final = KeyRecord(
    id="a" * 8, name="nobody", role=Role.VIEWER, salt="0" * 32, sha256="0" * 64, created=_PAST, expires=_PAST
)
"""A record that no key fits and that has expired: what a key of an unknown id is compared with."""
