"""A server to attack: real sockets, real fronts, a policy that only writes down what it was asked."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import struct
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import zmq
import zmq.asyncio

from tests.serving.fake_backend import FakeBackend
from unichunk.server.serving.access import Access
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.app import build_app
from unichunk.server.serving.curve import CurveDoor
from unichunk.server.serving.http_server import HttpServer, reserve
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key
from unichunk.server.serving.logs import Log
from unichunk.server.serving.prometheus_metrics import PrometheusMetrics
from unichunk.server.serving.service import Service
from unichunk.server.serving.zmq_front import ZmqFront
from unichunk.server.serving.zmq_router import Router

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unichunk.server.serving.limits import ClientLimits

WAIT_S = 30.0
"""What comes at all comes long before, on any machine."""

BINARY, PING, CONTINUED = 2, 9, 0


class Attacked:
    """The server, inside the test's event loop.

    Args:
        folder: For its files.
        limits: Of its clients.
        asks_for_keys: Whether clients need a key.
        curve: Folder of CURVE keys; None: ZeroMQ in plain text.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limits: ClientLimits | None = None,
        asks_for_keys: bool = True,
        curve: Path | None = None,
    ) -> None:
        made = {role: new_key(role.value, role, datetime.now(timezone.utc)) for role in Role}
        self.keys = {role.value: text for role, (text, _) in made.items()}
        self.key_file = folder / "keys.json"
        write_keys(self.key_file, [record for _, record in made.values()])
        self.logged = io.StringIO()
        self.backend = FakeBackend("tiny", "other")
        self.door = None if curve is None else CurveDoor(curve)
        self.log = Log("text", "debug", self.logged)
        self.metrics = PrometheusMetrics()
        self.service = Service(
            self.backend,
            access=Access(
                KeyRing(self.key_file) if asks_for_keys else None, [] if self.door is None else [self.door.clients]
            ),
            limits=limits,
            metrics=self.metrics,
            log=self.log,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[zmq.asyncio.Socket] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Attacked:
        sockets = reserve("127.0.0.1", 0)
        self.port: int = sockets[0].getsockname()[1]
        app = build_app(self.service, self.metrics.page)
        self._http = HttpServer(app, sockets, limits=self.service.limits, tls=None, log=self.log)
        await self._http.start()
        self.context = zmq.Context()
        if self.door is not None:
            self.door.open(self.context)
            self._tasks.append(asyncio.ensure_future(self.door.serve()))
        self.router = Router(
            self.context,
            "tcp://127.0.0.1:*",
            message_bytes=self.service.limits.message_bytes,
            guard=None if self.door is None else self.door.guard,
        )
        self._zmq = ZmqFront(self.service, self.router, known=None if self.door is None else self.door.clients.identity)
        await self._zmq.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in self._sockets:
            socket.close(0)
        await self._zmq.stop()
        await self._http.stop()
        if self.door is not None:
            self.door.close()
        self.log.close()
        self.context.destroy(0)

    @property
    def inferred(self) -> int:
        """Requests that reached the policy."""
        return len(self.backend.asked)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection to the HTTP port."""
        return await self._opened(self.port)

    async def _opened(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.append(writer)
        return reader, writer

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        host: str = "x",
    ) -> tuple[int, bytes]:
        """One HTTP request; status, and headers with body."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [] if key is None else [f"Authorization: Bearer {key}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        reader, writer = await self.connect()
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        return int(answer.split(b" ", 2)[1]), answer

    async def websocket(
        self, path: str = "/", *, key: str | None = None, lean: bool = False, headers: str = ""
    ) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        """A WebSocket without a library: status of the handshake, and its two ends."""
        reader, writer = await self.connect()
        token = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Key: {token}\r\nSec-WebSocket-Version: 13\r\n{headers}"
        head += "" if key is None else f"Authorization: Api-Key {key}\r\n"
        head += "Sec-WebSocket-Protocol: unichunk.v1\r\n" if lean else ""
        writer.write(f"{head}\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        return int(answer.split(b" ", 2)[1]), reader, writer

    def dealer(self, name: bytes = b"", *, kind: int = zmq.DEALER, prepare: object = None) -> zmq.asyncio.Socket:
        """A ZeroMQ client, connected."""
        socket = zmq.asyncio.Socket(self.context, kind)
        socket.linger = 0
        if name:
            socket.routing_id = name
        if callable(prepare):
            prepare(socket)
        socket.connect(self.router.endpoint)
        self._sockets.append(socket)
        return socket

    async def zmtp(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A ZeroMQ connection without a library, past the handshake."""
        port = int(self.router.endpoint.rpartition(":")[2])
        reader, writer = await self._opened(port)
        writer.write(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        await asyncio.wait_for(reader.readexactly(64), WAIT_S)
        ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0"
        writer.write(bytes([4, len(ready)]) + ready)
        await asyncio.wait_for(reader.readexactly(2), WAIT_S)
        return reader, writer


def frame(opcode: int, data: bytes = b"", *, last: bool = True) -> bytes:
    """A WebSocket frame of a client, masked with zeros."""
    size = len(data)
    head = bytes([opcode | (0x80 if last else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    return head + bytes(4) + data


async def until_closed(reader: asyncio.StreamReader, wait_s: float = WAIT_S) -> bool:
    """Read until the server closes; whether it does."""
    try:
        while await asyncio.wait_for(reader.read(1 << 16), wait_s):
            pass
    except (asyncio.TimeoutError, TimeoutError):
        return False
    except OSError:
        return True
    return True


async def push(writer: asyncio.StreamWriter, chunk: bytes, most: int, patience_s: float = 0.5) -> int:
    """Send a chunk again and again until the server does not take more; how much it took, bytes."""
    sent = 0
    try:
        while sent < most:
            writer.write(chunk)
            await asyncio.wait_for(writer.drain(), patience_s)
            sent += len(chunk)
    except (asyncio.TimeoutError, TimeoutError, OSError):
        pass
    return sent
