"""The model server behind real sockets, and a wire between that can be cut in silence."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import websockets.exceptions
import zmq
from websockets.sync.server import serve

from unichunk.server.wire.lean import SUBPROTOCOL

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.remote.model_server import ModelServer


@contextmanager
def websocket_server(
    model: ModelServer, *, port: int = 0, tls: ssl.SSLContext | None = None, subprotocol: str = SUBPROTOCOL
) -> Iterator[int]:
    """Serves on 127.0.0.1; its port. Ends all connections on leaving."""

    connections: list[Any] = []

    def handle(connection: Any) -> None:
        connections.append(connection)
        model.seen.append((connection.request.path, connection.request.headers.get("Authorization")))
        try:
            for message in connection:
                for answer in model.message(connection.id, message):
                    connection.send(answer)
        except websockets.exceptions.ConnectionClosed:
            pass

    server = serve(handle, "127.0.0.1", port, ssl=tls, subprotocols=[subprotocol], compression=None)  # type: ignore[list-item]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        server.shutdown()
        thread.join(10)


@contextmanager
def zmq_server(model: ModelServer, endpoint: str, *, curve: tuple[bytes, bytes] | None = None) -> Iterator[str]:
    """Serves on a ROUTER; its endpoint."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    if curve is not None:
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.CURVE_PUBLICKEY, curve[0])
        router.setsockopt(zmq.CURVE_SECRETKEY, curve[1])
    router.bind(endpoint)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            if router.poll(20):
                sender, message = router.recv_multipart()
                for answer in model.message(sender, message):
                    router.send_multipart([sender, answer])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield router.getsockopt_string(zmq.LAST_ENDPOINT)
    finally:
        stop.set()
        thread.join(10)
        router.close()
        context.term()


class Wire(threading.Thread):
    """Passes on what comes to a port, until it is cut: then nothing passes, and nobody is told.

    Args:
        target: The port it leads to.
    """

    def __init__(self, target: int) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut = False
        self._ended = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.start()

    def run(self) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        lost: list[socket.socket] = []
        while not self._ended:
            if self.cut:
                # Connections of before never get anything through again.
                for end in pairs:
                    self._selector.unregister(end)
                lost += pairs
                pairs.clear()
                time.sleep(0.02)
                continue
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept(pairs)
                elif key.fileobj in pairs:
                    self._pass_on(key.fileobj, pairs)
        for end in (*pairs, *lost, self._listener):
            end.close()
        self._selector.close()

    def end(self) -> None:
        self._ended = True
        self.join(10)

    def _accept(self, pairs: dict[socket.socket, socket.socket]) -> None:
        near = self._listener.accept()[0]
        far = socket.create_connection(("127.0.0.1", self._target))
        pairs[near], pairs[far] = far, near
        for end in (near, far):
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket, pairs: dict[socket.socket, socket.socket]) -> None:
        with contextlib.suppress(OSError):
            data = end.recv(2**16)
            if data:
                pairs[end].sendall(data)
                return
        for each in (end, pairs.pop(end)):
            pairs.pop(each, None)
            self._selector.unregister(each)
            each.close()
