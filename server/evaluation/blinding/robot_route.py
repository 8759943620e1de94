"""The door for robots: `/robot/NAME`, with the robot's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from unichunk.server.evaluation.errors import NotNow
from unichunk.server.serving.api_keys import key_from_header
from unichunk.server.serving.identity import Role
from unichunk.server.serving.websocket import Socket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.server.evaluation.blinding.proxy import Proxy
    from unichunk.server.serving.api_keys import KeyRing
    from unichunk.server.serving.websocket import Receive, Send

PATH: Final = "/robot/{name}"

_SAID: Final = {401: b"Unauthorized: Invalid API token\n", 403: b"not this robot's key\n", 409: b"connected already\n"}


def robot_route(proxy: Proxy, keyring: KeyRing) -> WebSocketRoute:
    """A route for a FastAPI or Starlette application: `app.router.routes.append(robot_route(proxy, keyring))`.

    The server must not compress messages (uvicorn: `ws_per_message_deflate=False`): compressed sizes tell contents.

    Args:
        proxy: Started.
        keyring: Knows robots: keys of the role robot, named as the robot is.
    """
    return WebSocketRoute(PATH, _Door(proxy, keyring), name="robot")


def robot_app(proxy: Proxy, keyring: KeyRing) -> Starlette:
    """An application that has this route, and no other: for robots without pages."""
    return Starlette(routes=[robot_route(proxy, keyring)])


class _Door:
    """An ASGI application for WebSockets. Whoever is refused gets an HTTP status and one line instead."""

    def __init__(self, proxy: Proxy, keyring: KeyRing) -> None:
        self._proxy = proxy
        self._keyring = keyring

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        name = scope["path_params"]["name"]
        header = dict(scope["headers"]).get(b"authorization")
        identity = self._keyring.identify(key_from_header(None if header is None else header.decode("latin-1")))
        if identity is None or identity.role is not Role.ROBOT or identity.name != name:
            await _deny(scope, send, 401 if identity is None else 403)
            return
        try:
            line = self._proxy.line(name)
        except NotNow:
            await _deny(scope, send, 409)
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await line.serve(Socket(receive, send))


async def _deny(scope: Mapping[str, Any], send: Send, status: int) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": _SAID[status]})
