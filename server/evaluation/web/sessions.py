"""Who is signed in: a signed cookie, and nothing on the server but who has signed out."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.server.evaluation.web.signature import digest, read_signed, sign
from unichunk.server.serving.identity import Identity, Role

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ENDED: Final = 10_000
"""Sessions that are remembered to have ended; beyond them, the one that is the first to expire is forgotten."""


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who is signed in.

    Attributes:
        id: Random.
        key: Id of the API key.
        name: Of its owner.
        role: Of its owner.
        until: When it expires, seconds since the epoch.
    """

    id: str
    key: str
    name: str
    role: Role
    until: float

    @property
    def identity(self) -> Identity:
        """Who it is; whether the key is still valid is for the key ring to say."""
        return Identity(self.key, self.name, self.role)


class Sessions:
    """Makes sessions and knows them again.

    Args:
        key: Signs them, 32 bytes.
        lasts_s: How long one lasts, [s].
        wall: Seconds since the epoch.
        token: Makes random ids.
    """

    def __init__(
        self,
        key: bytes,
        *,
        lasts_s: float,
        wall: Callable[[], float] = time.time,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._key = key
        self._lasts_s = lasts_s
        self._wall = wall
        self._token = token
        self._ended: dict[str, float] = {}

    def begin(self, identity: Identity) -> str:
        """Sign somebody in; returns the cookie."""
        until = self._wall() + self._lasts_s
        session = Session(id=self._token(), key=identity.id, name=identity.name, role=identity.role, until=until)
        return sign(self._key, "session", msgspec.json.encode(session))

    def read(self, cookie: str | None, *, expired: bool = False) -> Session | None:
        """Whose cookie this is.

        Args:
            cookie: What the browser sent.
            expired: Take one that has expired, too.

        Returns:
            None where it is no cookie of ours, has expired, or its owner has signed out.
        """
        content = read_signed(self._key, "session", cookie)
        if content is None:
            return None
        try:
            session = msgspec.json.decode(content, type=Session)
        except msgspec.DecodeError:
            return None
        lives = expired or self._wall() < session.until
        return session if lives and session.id not in self._ended else None

    def end(self, session: Session) -> None:
        """Sign somebody out: the cookie is worth nothing, whoever has a copy of it."""
        now = self._wall()
        self._ended = {known: until for known, until in self._ended.items() if until > now}
        self._ended[session.id] = session.until
        if len(self._ended) > MOST_ENDED:
            del self._ended[min(self._ended, key=self._ended.__getitem__)]

    def form_token(self, session: Session) -> str:
        """What every form and script of this session has to send along: other sites cannot know it."""
        return digest(self._key, "form", session.id)
