"""uvicorn as one part of a server: told when to listen and when to stop, signals are not its business."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.http_protocol import TimedHttpProtocol
from unichunk.server.serving.logs import LogHandler
from unichunk.server.serving.websocket_bounds import BoundedWebSocketProtocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from unichunk.server.serving.limits import ClientLimits
    from unichunk.server.serving.logs import Log

BACKLOG: Final = 1024
END_S: Final = 5
"""How long closing connections may take, [s]."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self.ending.set()

    async def main_loop(self) -> None:
        """Keep the date of the headers, once a second, until told to end."""
        # Multiples of ten are when uvicorn looks at the clock.
        while not await self.on_tick(0):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1.0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever has them."""
        yield


class HttpServer:
    """Serves an application on sockets that are bound, and not yet listened on.

    Args:
        app: The application.
        sockets: See `reserve`.
        limits: What clients may do.
        tls: For HTTPS and wss; None without.
        log: Where uvicorn's warnings go.
    """

    def __init__(
        self, app: Any, sockets: list[socket.socket], *, limits: ClientLimits, tls: ssl.SSLContext | None, log: Log
    ) -> None:
        config = uvicorn.Config(
            app,
            http=TimedHttpProtocol,
            ws=BoundedWebSocketProtocol,
            ws_max_size=limits.message_bytes,
            ws_ping_interval=limits.ping_interval_s,
            ws_ping_timeout=limits.ping_timeout_s,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            # Nobody may say of itself where it comes from.
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limits.clients + EXTRA_CONNECTIONS,
            backlog=BACKLOG,
            timeout_graceful_shutdown=END_S,
        )
        config.load()
        config.ssl = tls
        logger = logging.getLogger("uvicorn.error")
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.handlers = [LogHandler(log)]
        logging.getLogger("websockets").setLevel(logging.CRITICAL)
        self._server = _Server(config)
        self._sockets = sockets
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            UnichunkError: Where somebody else began to, meanwhile.
        """
        for one in self._sockets:
            try:
                one.listen(BACKLOG)
            except OSError as error:
                raise UnichunkError(f"cannot listen on {address_of(one)}: {error.strerror}") from None
        self._serving = asyncio.ensure_future(self._server.serve(self._sockets))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Close all connections (WebSockets with 1012), and stop listening; again does nothing."""
        self._server.end()
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
            self._serving = None
        for one in self._sockets:
            one.close()


EXTRA_CONNECTIONS: Final = 64
"""Connections beyond those of clients: for whoever asks how the server is, and those who have not said who they are."""


def reserve(host: str, port: int) -> list[socket.socket]:
    """Bind a port on all addresses of a host, without listening: who connects is refused until the policies are warm.

    A client that finds a refused connection knows to wait; one that is let in and not answered does not.

    Args:
        host: Address or name.
        port: 0 for any free one.

    Raises:
        UnichunkError: Where it cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UnichunkError(f"--host {host}: no such address: {getattr(error, 'strerror', error)}") from None
    bound: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        one = socket.socket(family, kind, protocol)
        bound.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # A free port of the first address is free on the others as a rule.
        number = bound[0].getsockname()[1] if port == 0 and len(bound) > 1 else port
        try:
            one.bind((address[0], number, *address[2:]))
        except OSError as error:
            for other in bound:
                other.close()
            raise UnichunkError(
                f"cannot listen on {host}:{number}: {error.strerror}; choose another with --port (0: any free one)"
            ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """Host and port of a socket, as addresses have them."""
    host, port, *_ = bound.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
