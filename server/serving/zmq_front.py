"""Clients on ZeroMQ: GR00T's REQ sockets and lean DEALER sockets, on one ROUTER.

A lean client sends one part; a REQ socket puts an empty one in front of its own, and whatever stands before that is
sent back as it came.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import zmq

from unichunk.embodiments.link.codec import encode
from unichunk.server.serving.access import NO_KEY
from unichunk.server.serving.addresses import is_here
from unichunk.server.serving.curve import USER_ID
from unichunk.server.serving.groot_conversation import GrootConversation
from unichunk.server.serving.lean_conversation import LeanConversation
from unichunk.server.wire import groot
from unichunk.server.wire.lean import Refused
from unichunk.server.wire.shared_memory import host_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.service import Service
    from unichunk.server.serving.zmq_router import Router

MOST_STRANGERS: Final = 256
"""Senders that are remembered before the server has let them in."""

SWEEP_EVERY_S: Final = 5.0
_MOST_PARTS: Final = 8
_PARTS: Final = "malformed message, expected one part (lean) or an empty one and one more (GR00T's REQ sockets)"


class _Peer:
    """Whoever has a connection.

    Attributes:
        address: Where it is, without the port; empty for a Unix socket.
        identity: Who it is, where CURVE says so.
        heard_s: When something came of it, [s].
        number: Of its connection.
        around: What stands before a REQ socket's own part.
    """

    def __init__(self, address: str, identity: Identity | None) -> None:
        self.address = address
        self.identity = identity
        self.heard_s = 0.0
        self.number = -1
        self.around: list[bytes] = []
        self.groot: GrootConversation | None = None
        self.lean: LeanConversation | None = None

    @property
    def entered(self) -> bool:
        """Whether it was let in."""
        return (self.groot is not None and self.groot.entered) or (self.lean is not None and self.lean.greeted)

    @property
    def busy(self) -> bool:
        """Whether something is being answered."""
        return any(one is not None and one.busy for one in (self.groot, self.lean))

    def close(self) -> None:
        """It has gone."""
        for one in (self.groot, self.lean):
            if one is not None:
                one.close()


class ZmqFront:
    """Serves the clients of one ROUTER socket.

    Args:
        service: The server.
        router: The socket, bound.
        known: Who somebody is by the user id that CURVE gave a connection; None without CURVE.
    """

    def __init__(
        self, service: Service, router: Router, *, known: Callable[[object], Identity | None] | None = None
    ) -> None:
        self._service = service
        self._router = router
        self._known = known
        self._peers: OrderedDict[bytes, _Peer] = OrderedDict()
        self._names: dict[int, bytes] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take clients in."""
        self._router.start(self._received, self._lost)
        self._sweeping = asyncio.ensure_future(self._sweep())

    async def stop(self) -> None:
        """Take no more messages in, and stop listening; again does nothing."""
        self._router.pause()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
            self._sweeping = None
        for name in list(self._peers):
            self._forget(name)
        self._router.close()

    def _received(self, number: int, frames: Sequence[zmq.Frame]) -> None:
        name, parts = frames[0].bytes, frames[1:]
        peer = self._peer(name, frames[-1])
        if peer is None:
            self._refuse(name, parts)
            return
        self._names[number] = name
        peer.number = number
        if len(parts) == 1:
            message = parts[0].bytes
            # An empty part is nobody's message.
            if message:
                self._lean(name, peer, message)
            return
        before = next((i for i, part in enumerate(parts[:_MOST_PARTS]) if not len(part)), None)
        if before is None or len(parts) != before + 2:
            self._malformed(name, [] if before is None else [part.bytes for part in parts[: before + 1]])
            return
        peer.around = [part.bytes for part in parts[: before + 1]]
        if peer.groot is None:
            peer.groot = GrootConversation(
                self._service,
                lambda reply: self._send(name, [*peer.around, reply]),
                address=peer.address,
                identity=peer.identity,
            )
        peer.groot.received(parts[-1].bytes)

    def _malformed(self, name: bytes, around: Sequence[bytes]) -> None:
        """Say so, in the way of a REQ socket's client where it looks like one."""
        reply = groot.pack_error(_PARTS) if around else encode(Refused(id=0, kind="message", reason=_PARTS))
        self._send(name, [*around, reply])

    def _refuse(self, name: bytes, parts: Sequence[zmq.Frame]) -> None:
        """Send somebody away whom CURVE does not know any more: its connection stays, and that makes it nobody."""
        before = next((i for i, part in enumerate(parts[:_MOST_PARTS]) if not len(part)), None)
        if before is None:
            self._send(name, [encode(Refused(id=0, kind="key", reason=NO_KEY))])
        else:
            self._send(name, [*(part.bytes for part in parts[: before + 1]), groot.pack_error(groot.UNAUTHORIZED)])

    def _peer(self, name: bytes, frame: zmq.Frame) -> _Peer | None:
        """Whose message it is; None where CURVE knew it once, and does not now."""
        peer = self._peers.get(name)
        identity = None
        if self._known is not None:
            identity = self._known(_property(frame, USER_ID))
            if identity is None:
                self._forget(name)
                return None
        if peer is None:
            if len(self._peers) >= self._service.limits.clients + MOST_STRANGERS:
                # Robots have a place of their own, and the others are never so many that there is none of them.
                self._forget(next((other for other, one in self._peers.items() if not one.entered), name))
            peer = _Peer("" if self._router.is_local else _property(frame, "Peer-Address"), identity)
            self._peers[name] = peer
        peer.heard_s = time.monotonic()
        self._peers.move_to_end(name)
        return peer

    def _lean(self, name: bytes, peer: _Peer, message: bytes) -> None:
        if peer.lean is None:

            async def send(answer: bytes) -> None:
                self._send(name, [answer])

            peer.lean = LeanConversation(
                self._service,
                send,
                front="zmq",
                address=peer.address,
                identity=peer.identity,
                host=host_mark() if is_here(peer.address) else "",
            )
        for reply in peer.lean.received(message):
            self._send(name, [reply])
        if peer.lean.over:
            peer.lean.close()
            peer.lean = None

    def _send(self, name: bytes, parts: Sequence[bytes]) -> None:
        if not self._router.send([name, *parts]):
            self._forget(name)

    def _lost(self, number: int) -> None:
        """A connection is over."""
        name = self._names.pop(number, None)
        if name is not None:
            self._forget(name)

    def _forget(self, name: bytes) -> None:
        peer = self._peers.pop(name, None)
        if peer is not None:
            if self._names.get(peer.number) == name:
                del self._names[peer.number]
            peer.close()

    async def _sweep(self) -> None:
        """Forget who was silent for long."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now = time.monotonic()
            for name, peer in list(self._peers.items()):
                idle_s = now - peer.heard_s
                if idle_s <= (self._service.limits.keep_alive_s if peer.entered else self._service.limits.handshake_s):
                    continue
                if not peer.busy:
                    self._forget(name)


def _property(frame: zmq.Frame, name: str) -> str:
    """A property of a frame's connection; empty where it has none."""
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""
