"""A server's half of the lean protocol, on the real codecs, with a policy whose chunks say what they were made from."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.policy.result import PolicyResult
from unichunk.server.wire.lean import (
    PROTOCOL,
    REQUESTS,
    Bye,
    Cancel,
    Hello,
    Infer,
    Limits,
    NeedAll,
    Ping,
    Pong,
    Refused,
    Welcome,
)
from unichunk.server.wire.lean_fields import SessionFields
from unichunk.server.wire.lean_rows import RowCodec
from unichunk.server.wire.lean_work import decode_observation, encode_result, with_timing, work_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest


def said(observation: Mapping[str, Any], seed: tuple[int, ...], manifest: Manifest) -> float:
    """A number that follows from an observation and a seed, and from nothing else."""
    total = float(sum(seed))
    for name in sorted(observation):
        value = observation[name]
        data = value.encode() if isinstance(value, str) else np.ascontiguousarray(value).tobytes()
        total += zlib.crc32(name.encode() + data) % 1000
    return total


def chunk_for(manifest: Manifest, robot: str, locked: NDArray[np.float32] | None, value: float) -> NDArray[np.float32]:
    """Rows that were locked, then the number in all of the robot's slots."""
    unified = np.zeros((manifest.chunk_length, manifest.unified_width), np.float32)
    slots = RowCodec(manifest, manifest.robots[robot]).slots
    start = 0 if locked is None else len(locked)
    if locked is not None:
        unified[:start] = locked
    unified[start:, slots] = value
    return unified


class ModelServer:
    """Sessions that outlive connections; each message is answered at once.

    Args:
        manifest: What is served.
        robot: To whom.

    Attributes:
        digest: Of what is served; may change, with the manifest.
        guided: Whether clients are told to bring all rows of their running plans.
        told: Those of the last request.
        refuse: What the next requests get instead of a chunk.
        seen: (connection, message) of everything that came.
    """

    def __init__(self, manifest: Manifest, robot: str, *, host: str = "") -> None:
        self.manifest = manifest
        self.robot = robot
        self.digest = "d1"
        self.guided = False
        self.told: NDArray[np.float32] | None = None
        self.host = host
        self.refuse: list[Refused] = []
        self.refuse_hello: Refused | None = None
        self.silent = False
        """Nothing is answered, pings included."""
        self.slow = False
        """Pings are answered, and nothing else."""
        self.seen: list[Any] = []
        self.junk: list[bytes] = []
        """Sent before every answer to an `Infer`."""
        self._sessions: dict[str, tuple[Hello, SessionFields]] = {}
        self._connections: dict[Any, str] = {}

    def forget(self) -> None:
        """As a server that was started anew."""
        self._sessions.clear()
        self._connections.clear()

    def message(self, connection: Any, message: bytes) -> list[bytes]:
        """What is sent back."""
        try:
            request = REQUESTS.decode(message)
        except MessageError as error:
            return [encode(Refused(id=0, kind="message", reason=str(error)))]
        self.seen.append(request)
        if self.silent:
            return []
        if isinstance(request, Hello):
            return [encode(self._hello(connection, request))]
        if isinstance(request, Ping):
            return [encode(Pong(id=request.id))]
        if isinstance(request, Bye):
            self._sessions.pop(self._connections.pop(connection, ""), None)
        if isinstance(request, Bye | Cancel) or self.slow:
            return []
        assert isinstance(request, Infer)
        return [*self.junk, self._infer(connection, request, message)]

    def _hello(self, connection: Any, hello: Hello) -> Welcome | Refused:
        if self.refuse_hello is not None:
            return self.refuse_hello
        resumed = hello.session in self._sessions
        session = hello.session if resumed and hello.session is not None else f"s{len(self.seen)}"
        fields = self._sessions[session][1] if resumed else SessionFields(10**6)
        self._sessions[session] = (hello, fields)
        self._connections[connection] = session
        return Welcome(
            protocol=PROTOCOL,
            session=session,
            resumed=resumed,
            policy="model",
            manifest=msgspec.Raw(msgspec.msgpack.encode(self.manifest)),
            digest=self.digest,
            refinement_rounds=0,
            limits=Limits(message_bytes=10**6, keep_alive_s=60.0),
            host=self.host,
            guided=self.guided,
        )

    def _infer(self, connection: Any, infer: Infer, message: bytes) -> bytes:
        session = self._sessions.get(self._connections.get(connection, ""))
        if session is None:
            return encode(Refused(id=infer.id, kind="session", reason="who are you? expected a hello first"))
        hello, fields = session
        payload = fields.take(infer, message)
        if payload is None:
            return encode(NeedAll(id=infer.id))
        if self.refuse:
            return encode(msgspec.structs.replace(self.refuse.pop(0), id=infer.id))
        rows = RowCodec(self.manifest, self.manifest.robots[self.robot])
        request = decode_observation(payload, rows, self.manifest.image.size)
        value = said(request.observation, work_seed(hello, infer), self.manifest)
        self.told = request.previous_chunk
        locked = None if self.told is None else self.told[: request.delay]
        unified = chunk_for(self.manifest, self.robot, locked, value)
        answer = encode_result(request.id, self.digest, PolicyResult(unified, {}), rows, infer_s=0.001)
        return with_timing(answer, queue_s=0.0, infer_s=0.001, total_s=0.002)
