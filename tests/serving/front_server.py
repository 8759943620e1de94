"""A server's fronts in the test's own event loop, over a fake backend."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio

from tests.serving.fake_backend import FakeBackend
from unichunk.server.serving.app import build_app
from unichunk.server.serving.http_server import HttpServer, reserve
from unichunk.server.serving.logs import Log
from unichunk.server.serving.prometheus_metrics import PrometheusMetrics
from unichunk.server.serving.service import Service
from unichunk.server.serving.zmq_front import ZmqFront
from unichunk.server.serving.zmq_router import Router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON_S = 20.0


class Keys:
    """API keys by token; whoever is taken out is not known any more."""

    trouble = ""

    def __init__(self, **identities: Any) -> None:
        self.known = identities

    def identify(self, token: str | None) -> Any:
        return self.known.get(token or "")

    def is_current(self, identity: Any) -> bool:
        return identity in self.known.values()


@dataclass
class Running:
    """A running server.

    Attributes:
        service: It.
        backend: Behind it.
        port: For HTTP and WebSocket.
        endpoint: For ZeroMQ.
        said: Its log, JSON lines.
    """

    service: Service
    backend: FakeBackend
    port: int
    endpoint: str
    said: io.StringIO

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def events(self, event: str) -> list[dict[str, Any]]:
        """What was logged of a kind; closes the log."""
        self.service.log.close()
        return [line for text in self.said.getvalue().splitlines() if (line := json.loads(text))["event"] == event]


@asynccontextmanager
async def running(*policies: str, **options: Any) -> AsyncIterator[Running]:
    """A server with all its fronts on free ports."""
    backend, said = FakeBackend(*policies), io.StringIO()
    metrics = PrometheusMetrics()
    service = Service(backend, metrics=metrics, log=Log("json", "debug", said), **options)
    metrics.watch(service)
    sockets = reserve("127.0.0.1", 0)
    http = HttpServer(build_app(service, metrics.page), sockets, limits=service.limits, tls=None, log=service.log)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = Router(context, "tcp://127.0.0.1:*", message_bytes=service.limits.message_bytes)
    front = ZmqFront(service, router)
    try:
        await http.start()
        await front.start()
        yield Running(service, backend, sockets[0].getsockname()[1], router.endpoint, said)
    finally:
        backend.gate.set()
        await front.stop()
        await http.stop()
        service.log.close()
        context.destroy(0)


@asynccontextmanager
async def zmq_socket(kind: int, endpoint: str) -> AsyncIterator[zmq.asyncio.Socket]:
    """A client's socket."""
    context = zmq.asyncio.Context()
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(endpoint)
    try:
        yield socket
    finally:
        context.destroy(0)


async def soon(condition: Any) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SOON_S) if hasattr(asyncio, "timeout") else _no_limit():
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def _no_limit() -> AsyncIterator[None]:
    yield


async def http(port: int, request: str, *headers: str, body: bytes = b"") -> tuple[int, dict[str, str], str]:
    """An HTTP request: status, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{request} HTTP/1.1", "host: test", "connection: close", f"content-length: {len(body)}", *headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    answer = await asyncio.wait_for(reader.read(), SOON_S)
    writer.close()
    head, _, text = answer.decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    return int(first.split()[1]), dict(_header(line) for line in rest), text


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
