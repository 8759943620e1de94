"""The door for WebSockets: who comes in, to which policy and robot, in which dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.api_keys import key_from_header
from unichunk.server.serving.backend import Busy, SwapRefused, UnknownPolicy
from unichunk.server.serving.refusals import Ending, KeyRefused, NotAllowed, TooFast, UnknownRobot
from unichunk.server.serving.websocket import Socket
from unichunk.server.serving.websocket_lean import serve_lean
from unichunk.server.serving.websocket_openpi import OpenpiClient
from unichunk.server.wire.lean import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.service import Service
    from unichunk.server.serving.websocket import Receive, Send

_PAGES: Final = "this server asks for no keys, so web pages may not use it: start it with --keys"


class WebSocketRoute:
    """An ASGI application for WebSockets: `/`, `/{policy}` and `/{policy}/{robot}`.

    Whoever is refused gets an HTTP status and one line instead of a WebSocket.

    Args:
        service: The server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket until it is over."""
        if (await receive())["type"] != "websocket.connect":
            return
        service = self._service
        address = (scope.get("client") or ("",))[0]
        parameters = scope.get("path_params", {})
        policy, robot = parameters.get("policy", ""), parameters.get("robot", "")
        lean = SUBPROTOCOL in scope.get("subprotocols", ())
        accept: dict[str, Any] = {
            "type": "websocket.accept",
            "subprotocol": SUBPROTOCOL if lean else None,
            "headers": [],
        }
        socket = Socket(receive, send)
        try:
            identity = self._identify(dict(scope["headers"]), address)
            if lean:
                await send(accept)
                await serve_lean(service, socket, address=address, identity=identity, policy=policy, robot=robot)
                return
            policy, description = service.policy(policy)
            robot = service.robot(robot, description)
            client = service.enter("ws", identity, address)
        except UnichunkError as error:
            await _deny(scope, send, error)
            return
        try:
            await send(accept)
            await OpenpiClient(service, client, policy, robot, socket).run(description.handshake[robot])
        finally:
            service.leave(client)

    def _identify(self, headers: Mapping[bytes, bytes], address: str) -> Identity:
        """Who it is by the key in the headers: strangers get no WebSocket, and send no long messages.

        Raises:
            KeyRefused: Where none came, or it is no key.
            NotAllowed: Where a web page asks a server that knows nobody.
        """
        if not self._service.access.asks_for_keys and b"origin" in headers:
            raise NotAllowed(_PAGES)
        header = headers.get(b"authorization")
        return self._service.identify(key_from_header(None if header is None else header.decode("latin-1")), address)


async def _deny(scope: Mapping[str, Any], send: Send, error: UnichunkError) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain; charset=utf-8")]
    headers += [(name.encode(), value.encode()) for name, value in headers_of(error)]
    await send({"type": "websocket.http.response.start", "status": status_of(error), "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{error}\n".encode()})


def status_of(error: UnichunkError) -> int:
    """The HTTP status of a refusal."""
    statuses: Iterable[tuple[type[UnichunkError], int]] = (
        (KeyRefused, 401),
        (NotAllowed, 403),
        (UnknownPolicy, 404),
        (UnknownRobot, 404),
        (SwapRefused, 409),
        (TooFast, 429),
        (Busy, 503),
        (Ending, 503),
    )
    return next((status for kind, status in statuses if isinstance(error, kind)), 400)


def headers_of(error: UnichunkError) -> list[tuple[str, str]]:
    """The HTTP headers that belong to a refusal."""
    if isinstance(error, KeyRefused):
        return [("www-authenticate", "Api-Key")]
    if isinstance(error, Busy | TooFast | Ending):
        return [("retry-after", str(max(1, round(error.retry_after_s))))]
    return []
