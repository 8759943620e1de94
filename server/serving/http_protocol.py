"""HTTP connections that have to say what they want, soon and in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

REQUEST_S: Final = 10.0
"""How long a connection may take until its first request is whole, [s]."""

LONGEST_HEAD: Final = 64 * 1024
"""Bytes until then; a request's headers, and the little that the bodies of this server's requests hold."""


class TimedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on what comes before the server knows who is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody connected."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(REQUEST_S, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something came."""
        if self.cycle is None:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD:
                self.send_400_response("Invalid HTTP request received.")
                return
        super().data_received(data)
        if self.cycle is not None:
            self._stop_waiting()

    def handle_websocket_upgrade(self) -> None:
        """It becomes a WebSocket, with bounds of its own."""
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_late(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.close()
