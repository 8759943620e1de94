"""The front's end of a worker's socket: whole frames in and out of an event loop, without a copy more than needed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.server.serving.frames import FROM_WORKER, HEADER, head

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from unichunk.server.serving.frames import Done, Failed, Loaded

_FIRST_BYTES: Final = 1 << 18
_MOST_PARTS: Final = 64


class WorkerSocket:
    """Frames over a connected Unix socket.

    Args:
        connection: The socket; it is closed with this.
        received: Called with every message and its payload.
        closed: Called once when the other end has closed.
    """

    def __init__(
        self,
        connection: socket.socket,
        received: Callable[[Loaded | Failed | Done, bytes], None],
        closed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._received = received
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(_FIRST_BYTES)
        self._filled = 0
        self._outgoing: deque[memoryview] = deque()
        self._open = True
        connection.settimeout(0)
        self._loop.add_reader(connection, self._read)

    def send(self, message: msgspec.Struct, payload: bytes = b"") -> None:
        """Send a frame; what the socket does not take now goes out as soon as it does. Never waits, never raises."""
        if not self._open:
            return
        waiting = bool(self._outgoing)
        self._outgoing.append(memoryview(head(message, len(payload))))
        if payload:
            self._outgoing.append(memoryview(payload))
        if not waiting:
            self._write()
            if self._outgoing and self._open:
                self._loop.add_writer(self._connection, self._write)

    def close(self) -> None:
        """Close this end, which ends the worker. `closed` is not called any more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._connection)
            self._loop.remove_writer(self._connection)
            self._connection.close()
            self._outgoing.clear()

    def _write(self) -> None:
        try:
            while self._outgoing:
                parts = [self._outgoing[index] for index in range(min(len(self._outgoing), _MOST_PARTS))]
                sent = self._connection.sendmsg(parts)
                while self._outgoing and sent >= len(self._outgoing[0]):
                    sent -= len(self._outgoing.popleft())
                if sent:
                    self._outgoing[0] = self._outgoing[0][sent:]
            self._loop.remove_writer(self._connection)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # It is gone; the end of what it sent says so, after its last answers.
            self._outgoing.clear()
            self._loop.remove_writer(self._connection)

    def _read(self) -> None:
        try:
            size = self._connection.recv_into(memoryview(self._buffer)[self._filled :])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            size = 0
        if size == 0:
            self._end()
            return
        self._filled += size
        try:
            self._parse()
        except msgspec.MsgspecError:
            # Only a process whose memory is damaged says such things.
            self._end()

    def _end(self) -> None:
        self.close()
        self._closed()

    def _parse(self) -> None:
        start = 0
        needed = HEADER.size
        while self._filled - start >= HEADER.size:
            message_bytes, payload_bytes = HEADER.unpack_from(self._buffer, start)
            needed = HEADER.size + message_bytes + payload_bytes
            if self._filled - start < needed:
                break
            view = memoryview(self._buffer)[start + HEADER.size : start + needed]
            message = FROM_WORKER.decode(view[:message_bytes])
            payload = bytes(view[message_bytes:])
            start += needed
            needed = HEADER.size
            self._received(message, payload)
            if not self._open:
                return
        if start:
            left = self._filled - start
            self._buffer[:left] = self._buffer[start : self._filled]
            self._filled = left
        if needed > len(self._buffer):
            self._buffer = self._buffer.ljust(needed)
