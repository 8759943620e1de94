"""Who asks, and whether that one may: the first thing that every request meets."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from unichunk.server.evaluation.errors import NotAllowed
from unichunk.server.evaluation.web.refusals import BadRequest, SignInFirst, StalePage, TooLong

if TYPE_CHECKING:
    from starlette.requests import Request

    from unichunk.server.evaluation.web.sessions import Session, Sessions
    from unichunk.server.serving.access import Keys
    from unichunk.server.serving.identity import Identity, Right

T = TypeVar("T")

LONGEST_BODY: Final = 64 * 1024
"""Bytes of a request's body."""

SHORTEST_KEY: Final = 16
LONGEST_KEY: Final = 40
"""Characters of an idempotency key, as the page makes it."""

TOKEN_HEADER: Final = "x-form-token"  # noqa: S105  (a header's name)
KEY_HEADER: Final = "idempotency-key"
_KEY_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_OURS: Final = frozenset({"same-origin", "none"})


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in.

    Attributes:
        session: The session.
        token: What this session's forms have to send along.
    """

    session: Session
    token: str

    @property
    def who(self) -> Identity:
        """Who it is."""
        return self.session.identity

    def may(self, *rights: Right) -> bool:
        """Whether the role has one of these rights."""
        return any(self.who.may(right) for right in rights)


class Gate:
    """Lets people in.

    Args:
        keys: The API keys: a session ends when its key does.
        sessions: The sessions.
        secure: Whether browsers come by TLS.
    """

    def __init__(self, keys: Keys, sessions: Sessions, *, secure: bool) -> None:
        self._keys = keys
        self._sessions = sessions
        # Browsers take a cookie of this prefix only with TLS, for the whole server, and from no other name.
        self.cookie: Final = "__Host-unichunk" if secure else "unichunk"

    def visitor(self, request: Request, *rights: Right) -> Visitor:
        """Who asks.

        Args:
            request: What came.
            rights: The visitor needs one of them; none: whoever is signed in.

        Raises:
            SignInFirst: Where nobody is signed in.
            NotAllowed: Where the role has none of the rights.
        """
        return self._visitor(self._sessions.read(request.cookies.get(self.cookie)), *rights)

    def sender(self, request: Request, *rights: Right, token: str | None = None) -> Visitor:
        """Who wants to change something: it has to come from a page of ours.

        Args:
            request: What came.
            rights: As for `visitor`.
            token: Of a form; None: it stands in the header.

        Raises:
            SignInFirst, NotAllowed: As `visitor`.
            StalePage: Where it comes from elsewhere.
        """
        check_origin(request)
        visitor = self.visitor(request, *rights)
        sent = request.headers.get(TOKEN_HEADER, "") if token is None else token
        if not hmac.compare_digest(sent.encode(), visitor.token.encode()):
            raise StalePage("the form's token is another session's")
        return visitor

    def stopper(self, request: Request, *rights: Right) -> Visitor:
        """Who wants to stop a robot.

        A page that was left open overnight, or from before somebody signed in again, has to be able to. What comes from
        elsewhere is refused all the same, and so is a key that was revoked.

        Raises:
            SignInFirst, NotAllowed, StalePage: As `sender`; not for a session that has expired or an old form's token.
        """
        check_origin(request)
        return self._visitor(self._sessions.read(request.cookies.get(self.cookie), expired=True), *rights)

    def _visitor(self, session: Session | None, *rights: Right) -> Visitor:
        if session is None or not self._keys.is_current(session.identity):
            raise SignInFirst("no session, or one whose key was revoked")
        visitor = Visitor(session, self._sessions.form_token(session))
        if rights and not visitor.may(*rights):
            raise NotAllowed(f"a key of the role {session.role.value} may not do this")
        return visitor


def check_origin(request: Request) -> None:
    """Whether a page of this server sent it, as far as the browser says.

    Raises:
        StalePage: Where another one did.
    """
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    foreign = origin is not None and origin.partition("://")[2] != host
    if foreign or request.headers.get("sec-fetch-site", "none") not in _OURS:
        raise StalePage("the request comes from another site")


async def body(request: Request) -> bytes:
    """A request's body; read only once it is known who sent it.

    Raises:
        TooLong: Where it is too long.
    """
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > LONGEST_BODY:
            raise TooLong(f"body: expected at most {LONGEST_BODY} bytes")
    return data


async def read_body(request: Request, kind: type[T]) -> T:
    """Read a JSON body.

    Raises:
        BadRequest, TooLong: Where it is something else.
    """
    try:
        return msgspec.json.decode(await body(request), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"body: {error}") from None


def request_key(request: Request, who: Identity) -> str:
    """The idempotency key of a request, such that nobody can repeat what somebody else sent.

    Raises:
        BadRequest: Where there is none.
    """
    key = request.headers.get(KEY_HEADER, "")
    if not (SHORTEST_KEY <= len(key) <= LONGEST_KEY and _KEY_CHARACTERS.issuperset(key)):
        raise BadRequest(f"{KEY_HEADER}: expected {SHORTEST_KEY} to {LONGEST_KEY} letters, digits or -")
    return f"{who.id}/{key}"
