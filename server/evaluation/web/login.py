"""Signing in with an API key, and out."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import RedirectResponse, Response

from unichunk.server.evaluation.web.gate import body, check_origin
from unichunk.server.evaluation.web.places import PLACES
from unichunk.server.evaluation.web.refusals import SignInFirst, TooOften

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from unichunk.server.evaluation.web.gate import Gate
    from unichunk.server.evaluation.web.pages import Pages
    from unichunk.server.evaluation.web.sessions import Sessions
    from unichunk.server.evaluation.web.settings import WebSettings
    from unichunk.server.serving.access import Keys
    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.rate_limits import FailedAttempts

WRONG_KEY = "This key is not valid here."


class Login:
    """The page on which people show their keys.

    Args:
        gate: Knows who is signed in.
        keys: The API keys.
        sessions: Makes cookies.
        attempts: Counts wrong keys.
        pages: The templates.
        settings: Whether cookies go by TLS alone, and for how long.
        clock: Monotonic, [s].
    """

    def __init__(
        self,
        gate: Gate,
        keys: Keys,
        sessions: Sessions,
        attempts: FailedAttempts,
        pages: Pages,
        settings: WebSettings,
        clock: Callable[[], float],
    ) -> None:
        self._gate = gate
        self._keys = keys
        self._sessions = sessions
        self._attempts = attempts
        self._pages = pages
        self._settings = settings
        self._clock = clock

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route("/login", self.form, methods=["GET"])
        app.add_api_route("/login", self.sign_in, methods=["POST"])
        app.add_api_route("/logout", self.sign_out, methods=["POST"])

    async def form(self, request: Request) -> Response:
        """The form."""
        return self._pages.page(request, "login", wrong="")

    async def sign_in(self, request: Request) -> Response:
        """Take a key; a wrong one is answered the same, whatever is wrong with it."""
        check_origin(request)
        identity = self._person(_field(await body(request), "key"))
        address = request.client.host if request.client else ""
        if identity is None:
            wait_s = self._attempts.failed(address, self._clock())
            if wait_s:
                raise TooOften("wrong keys", wait_s)
            return self._pages.page(request, "login", status=403, wrong=WRONG_KEY)
        self._attempts.succeeded(address)
        place = next(place.path for place in PLACES if any(identity.may(right) for right in place.rights))
        answer = RedirectResponse(place, 303)
        answer.set_cookie(
            self._gate.cookie,
            self._sessions.begin(identity),
            # Longer than the session: an expired one still holds a robot, see `Gate.stopper`.
            max_age=2 * int(self._settings.session_s),
            secure=self._settings.secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session; whoever has none is not told so."""
        answer = RedirectResponse("/login", 303)
        try:
            visitor = self._gate.sender(request, token=_field(await body(request), "token"))
        except SignInFirst:
            return answer
        self._sessions.end(visitor.session)
        answer.delete_cookie(self._gate.cookie, secure=self._settings.secure, httponly=True, samesite="strict")
        return answer

    def _person(self, key: str) -> Identity | None:
        """Whose key it is, where there is a page for that one; robots have none."""
        identity = self._keys.identify(key.strip())
        known = identity is not None and any(identity.may(right) for place in PLACES for right in place.rights)
        return identity if known else None


def _field(data: bytes, name: str) -> str:
    """A field of a form; empty where it is not there."""
    try:
        fields = urllib.parse.parse_qs(data.decode(), max_num_fields=8)
    except ValueError:
        return ""
    return fields.get(name, [""])[0]
