"""One WebSocket, as ASGI has it: nothing between the server's protocol and what speaks on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LONGEST_REASON: Final = 120
"""Bytes of a close frame's reason; the protocol has room for 123."""


class BinaryOnly(UnichunkError):
    """A text frame came where only binary ones are messages."""


class Socket:
    """An accepted WebSocket. Sending to somebody who has gone does nothing.

    Args:
        receive: ASGI's.
        send: ASGI's.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._open = True

    async def receive(self) -> bytes | None:
        """The next message; None once the client has gone or the connection was closed.

        Raises:
            BinaryOnly: For a text frame.
        """
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._open = False
            return None
        data: bytes | None = event.get("bytes")
        if data is None:
            raise BinaryOnly("malformed message: expected a binary frame, got a text frame")
        return data

    async def send(self, message: bytes | str) -> None:
        """Send a binary frame, or a text frame; waits while the client does not read."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._event({"type": "websocket.send", kind: message})

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; again does nothing."""
        await self._event({"type": "websocket.close", "code": code, "reason": fitting(reason)})
        self._open = False

    async def _event(self, event: Mapping[str, Any]) -> None:
        if not self._open:
            return
        try:
            await self._send(dict(event))
        except (OSError, RuntimeError):
            # It has gone, and nobody has told us yet; ASGI servers say so in either way.
            self._open = False


def fitting(reason: str) -> str:
    """As much of a reason as a close frame takes."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")
