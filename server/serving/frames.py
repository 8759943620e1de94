"""What a worker process and the front say to each other over their socket.

A frame is a header (lengths), a message as msgpack, and a payload that neither end touches: the request's or the
answer's own bytes, which are neither copied into the message nor out of it.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

import msgspec

from unichunk.server.serving.source import PolicySource  # noqa: TC001  msgspec reads the annotation
from unichunk.server.serving.work import Answer, Description, Dialect, Fault, Work

HEADER: Final = struct.Struct("<IQ")
SOCKET_BYTES: Final = 4 << 20
"""Asked for each direction of the socket, so that a message of pictures goes out in one call."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag_field="kind"):
    pass


class Load(_Message, frozen=True, array_like=True, tag="load"):
    """The first message to a worker: what to load."""

    source: PolicySource


class Loaded(_Message, frozen=True, array_like=True, tag="loaded"):
    """The policy is loaded and warm."""

    description: Description


class Failed(_Message, frozen=True, array_like=True, tag="failed"):
    """It is not, and the worker ends: why, one line."""

    reason: str


class Begin(_Message, frozen=True, array_like=True, tag="begin"):
    """A request; its payload follows, or is in the memory that both share: where that begins, and how long it is."""

    ticket: int
    dialect: Dialect
    robot: str
    seed: tuple[int, ...]
    previous_total_ms: float | None
    shared: tuple[int, int] | None = None
    deadline_s: float | None = None
    """When it must not be begun with any more: front and worker are on one machine, and so have one
    `time.monotonic()`."""

    def work(self, payload: bytes) -> Work:
        """With its payload."""
        return Work(
            dialect=self.dialect,
            robot=self.robot,
            payload=payload,
            seed=self.seed,
            previous_total_ms=self.previous_total_ms,
        )


class Forget(_Message, frozen=True, array_like=True, tag="forget"):
    """Nobody waits for this request any more."""

    ticket: int


class Done(_Message, frozen=True, array_like=True, tag="done"):
    """An answer; its payload follows."""

    ticket: int
    error: str
    fault: Fault
    decode_s: float
    infer_s: float
    encode_s: float
    batch: int

    def answer(self, payload: bytes) -> Answer:
        """With its payload."""
        return Answer(
            payload=payload,
            error=self.error,
            fault=self.fault,
            decode_s=self.decode_s,
            infer_s=self.infer_s,
            encode_s=self.encode_s,
            batch=self.batch,
        )


TO_WORKER: Final = msgspec.msgpack.Decoder(Load | Begin | Forget)
FROM_WORKER: Final = msgspec.msgpack.Decoder(Loaded | Failed | Done)
_ENCODER: Final = msgspec.msgpack.Encoder()


def begin(ticket: int, work: Work, shared: tuple[int, int] | None = None, *, deadline_s: float | None = None) -> Begin:
    """A request, less its payload."""
    return Begin(ticket, work.dialect, work.robot, work.seed, work.previous_total_ms, shared, deadline_s)


def done(ticket: int, answer: Answer) -> Done:
    """An answer, less its payload."""
    return Done(ticket, answer.error, answer.fault, answer.decode_s, answer.infer_s, answer.encode_s, answer.batch)


def head(message: msgspec.Struct, payload_bytes: int = 0) -> bytes:
    """Header and message of a frame; the payload goes out after it."""
    packed = _ENCODER.encode(message)
    return HEADER.pack(len(packed), payload_bytes) + packed


def widen(*sockets: socket.socket) -> None:
    """Ask for room for a whole message; the system may give less."""
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
