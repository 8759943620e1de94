"""What others feel of a server under load: how soon it answers `GET /healthz`, and a WebSocket's ping."""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING, Final

import websockets.exceptions
import websockets.sync.client

from unichunk.benchmarks.serving.load import LoadFailed

if TYPE_CHECKING:
    from types import TracebackType

EVERY_S: Final = 0.02
PATIENCE_S: Final = 30.0


class Felt:
    """Asks a server now and then for as long as a block lasts, from two threads.

    A ping is answered by the server's event loop itself, so it tells how soon that comes round.

    Args:
        port: Of the server on this machine.

    Raises:
        LoadFailed: Where it does not take the connection in.

    Attributes:
        healthz_ms: Round trips of `GET /healthz`, a connection of its own each, [ms].
        ping_ms: Round trips of pings on an idle connection, [ms].
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self.healthz_ms: list[float] = []
        self.ping_ms: list[float] = []
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._healthz, self._pings)]
        try:
            self._idle = websockets.sync.client.connect(
                f"ws://127.0.0.1:{port}", compression=None, max_size=None, ping_interval=None, open_timeout=PATIENCE_S
            )
            self._idle.recv(PATIENCE_S)
        except (OSError, TimeoutError, websockets.exceptions.WebSocketException) as error:
            raise LoadFailed(f"the connection for pings: {type(error).__name__}: {error}") from None

    def __enter__(self) -> Felt:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._idle.close()

    def _healthz(self) -> None:
        while not self._stop.is_set():
            begun = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                self.healthz_ms.append(1e3 * (time.perf_counter() - begun))
            except (OSError, http.client.HTTPException):
                # Missing samples show in their number.
                pass
            finally:
                connection.close()
            self._stop.wait(EVERY_S)

    def _pings(self) -> None:
        while not self._stop.is_set():
            begun = time.perf_counter()
            try:
                answered = self._idle.ping().wait(PATIENCE_S)
            except websockets.exceptions.ConnectionClosed:
                return
            if answered:
                self.ping_ms.append(1e3 * (time.perf_counter() - begun))
            self._stop.wait(EVERY_S)
