"""HTTP connections that have to say what they want, soon and in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

REQUEST_S: Final = 10.0
"""How long a request may take until it is whole, [s]."""

LONGEST_REQUEST: Final = 64 * 1024
"""Bytes until then; a request's headers, and the little that the bodies of this server's requests hold."""


class TimedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on each request, also on what nobody reads any more because it was refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_bytes = 0
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody connected."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something came."""
        if self._waiting is None and self.cycle is not None and self.cycle.response_complete:
            # A next request begins; uvicorn's own patience ends with its first byte, which may be an empty line.
            self._wait()
        if self._waiting is not None:
            self._request_bytes += len(data)
            if self._request_bytes > LONGEST_REQUEST:
                self._stop_waiting()
                self.send_400_response("Invalid HTTP request received.")
                return
        super().data_received(data)

    def on_message_complete(self) -> None:
        """A request is whole."""
        super().on_message_complete()
        self._stop_waiting()

    def handle_websocket_upgrade(self) -> None:
        """It becomes a WebSocket, with bounds of its own."""
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def _wait(self) -> None:
        if self._waiting is None:
            self._request_bytes = 0
            self._waiting = self.loop.call_later(REQUEST_S, self._too_late)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_late(self) -> None:
        self._waiting = None
        # Whoever does not read either would hold up a mere `close`.
        self.transport.abort()
