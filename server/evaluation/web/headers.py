"""Headers of every answer: nothing is cached, framed, sniffed or fetched from elsewhere, and no inline script runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)

HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)

NOT_KEPT: Final = (b"cache-control", b"no-store")
ASKED_AGAIN: Final = (b"cache-control", b"no-cache")
"""Of scripts and styles: kept, and used once the server has said that they are the same."""


class SecurityHeaders:
    """Puts them on every answer of an application.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = ASKED_AGAIN if scope["path"].startswith("/static/") else NOT_KEPT

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS, kept]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def protect(answer: Response) -> Response:
    """Put them on one answer: of a program that broke, which no longer passes here."""
    answer.raw_headers.extend([*HEADERS, NOT_KEPT])
    return answer
