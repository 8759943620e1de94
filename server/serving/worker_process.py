"""A worker: one process, one policy, requests over an inherited socket until that closes.

Runs as `python -m unichunk.server.serving.worker_process SOCKET MEMORY`, two inherited descriptors, from the front.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.kept_memory import keep_freed_memory
from unichunk.server.serving.faults import answer_to
from unichunk.server.serving.frames import (
    HEADER,
    TO_WORKER,
    Begin,
    Failed,
    Forget,
    Load,
    Loaded,
    done,
    head,
    widen,
)
from unichunk.server.serving.load_policy import load_policy
from unichunk.server.serving.pipeline import SWITCH_S, Pipeline
from unichunk.server.serving.shared_arena import SharedPayloads

if TYPE_CHECKING:
    import msgspec

    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.work import Answer


class _Channel:
    """The worker's end of the socket; anything that goes wrong with it means that the front has gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def receive(self) -> tuple[Load | Begin | Forget, bytes]:
        """Wait for the next message.

        Raises:
            EOFError: There will be none.
        """
        message_bytes, payload_bytes = HEADER.unpack(self._exactly(HEADER.size))
        message = TO_WORKER.decode(self._exactly(message_bytes))
        return message, self._exactly(payload_bytes)

    def send(self, message: msgspec.Struct, payload: bytes = b"") -> None:
        """Send a message, or nothing where nobody is there any more."""
        parts = [memoryview(head(message, len(payload))), memoryview(payload)]
        with self._sending, contextlib.suppress(OSError):
            while parts:
                sent = self._connection.sendmsg(parts)
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][sent:]

    def _exactly(self, size: int) -> bytes:
        if size == 0:
            return b""
        try:
            data = self._connection.recv(size, socket.MSG_WAITALL)
            while 0 < len(data) < size:
                more = self._connection.recv(size - len(data), socket.MSG_WAITALL)
                if not more:
                    break
                data += more
        except OSError:
            raise EOFError from None
        if len(data) < size:
            raise EOFError
        return data


def serve(connection: socket.socket, shared: SharedPayloads) -> int:
    """Load what the first message says, then answer until the other end closes; the exit status."""
    widen(connection)
    channel = _Channel(connection)
    try:
        first, _ = channel.receive()
        if not isinstance(first, Load):
            return 1
        policy = _loaded(channel, first.source)
        if policy is None:
            return 1
        # What was loaded stays: it need not be looked through again and again.
        gc.collect()
        gc.freeze()
        pipeline: Pipeline[Any, Any] = Pipeline(policy, lambda ticket, answer: _reply(channel, ticket, answer))
        channel.send(Loaded(policy.describe()))
        while True:
            message, payload = channel.receive()
            if isinstance(message, Begin):
                if message.shared is not None:
                    payload = shared.take(*message.shared)
                pipeline.submit(message.ticket, message.work(payload), message.deadline_s)
            elif isinstance(message, Forget):
                pipeline.cancel(message.ticket)
    except EOFError:
        return 0


def _loaded(channel: _Channel, source: PolicySource) -> Any:
    try:
        return load_policy(source)
    except Exception as error:  # noqa: BLE001  whatever it is, the front has to say it in one line
        reason = str(error) if isinstance(error, UnichunkError) else answer_to(error).error
        channel.send(Failed(reason))
        return None


def _reply(channel: _Channel, ticket: int, answer: Answer) -> None:
    channel.send(done(ticket, answer), answer.payload)


def main() -> None:
    """Be a worker until the socket closes."""
    # The front says when it is time, also to a worker that a terminal or a service manager signals with all others.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_S)
    keep_freed_memory()
    status = serve(socket.socket(fileno=int(sys.argv[1])), SharedPayloads(int(sys.argv[2])))
    sys.stderr.flush()
    # At once: an inference may be running, and nobody waits for it.
    os._exit(status)


if __name__ == "__main__":
    main()
