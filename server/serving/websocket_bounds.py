"""uvicorn's WebSockets, with bounds on what a peer can make the server keep."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from websockets.frames import Frame
    from websockets.http11 import Request

MOST_PIECES: Final = 4096
"""Frames of one message: 64 MiB in pieces of 16 KiB. Pieces may be empty, and then no length bounds them."""

MOST_UNREAD: Final = 32 * 2**20
"""Bytes that wait for a peer that does not read. Chunks wait for room; answers to pings do not, and each costs the peer
as little as the server."""


CLOSE_S: Final = 5.0
"""How long a peer may take to say goodbye too, or to read what it was sent before, [s]."""


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends connections that send messages in endless pieces, or ask and ask and do not read.

    Strangers are counted too: uvicorn's `limit_concurrency` alone is for plain HTTP. And a connection that is closed
    does end: uvicorn would wait for as long as its peer leaves unread what it was sent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = CLOSE_S

    def handle_connect(self, event: Request) -> None:
        """Somebody wants a WebSocket."""
        most = self.config.limit_concurrency
        if most is None or len(self.connections) <= most:
            super().handle_connect(event)
            return
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.conn.send_response(self.conn.reject(HTTPStatus.SERVICE_UNAVAILABLE, "the server is full: connect later\n"))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    async def send(self, message: Any) -> None:
        """ASGI's `send`."""
        await super().send(message)
        if message["type"] == "websocket.close":
            self.loop.call_later(self.close_timeout, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """A ping was not answered."""
        super().keepalive_timeout()
        self.loop.call_later(self.close_timeout, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Something came."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """A further piece of a message came."""
        super().handle_cont(event)
        if len(self.frames) > MOST_PIECES and not self.transport.is_closing():
            self.frames = []
            self.transport.abort()
