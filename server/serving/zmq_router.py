"""A ROUTER socket in an event loop: it is read when it is readable, and neither thread nor task waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket as sockets
import struct
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast

import zmq

from unichunk.embodiments.link.endpoints import check_endpoint, ipc_path
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from unichunk.embodiments.link.sockets import Context, Socket

MOST_PER_ROUND: Final = 256
"""Parts of messages taken in before others in the event loop have their turn."""

MOST_PARTS: Final = 16
"""Parts that are kept of a message, more than any message has; ZeroMQ itself bounds the length of a part alone."""

WAITING_MESSAGES: Final = 16
"""Messages of one client that the socket itself keeps, in each direction; who sends more is not read meanwhile."""

HEARTBEAT_MS: Final = 10_000
HEARTBEAT_TIMEOUT_MS: Final = 30_000
"""Who does not answer a heartbeat for this long is gone, [ms]; ZeroMQ's own threads answer, whatever a client does."""

LINGER_MS: Final = 500
"""How long closing waits for answers to leave, [ms]."""

_EVENT: Final = struct.Struct("=HI")
"""A notice of the socket's monitor: what happened, and for a lost connection its number."""


class Router:
    """A bound ROUTER socket.

    Args:
        context: Its context.
        endpoint: Where to listen; the port may be `*`.
        message_bytes: Longest message that is taken.
        guard: Sets the socket up for CURVE, see `CurveDoor.guard`; None for plain text.

    Raises:
        UnichunkError: Where the endpoint is none, or taken.
    """

    def __init__(
        self, context: Context, endpoint: str, *, message_bytes: int, guard: Callable[[Socket], None] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._received: Callable[[int, Sequence[zmq.Frame]], None] = _nobody
        self._lost: Callable[[int], None] = _nobody
        self._again = False
        self._reading = False
        self._parts: list[zmq.Frame] = []
        with ExitStack() as stack:
            self._socket: Socket = context.socket(zmq.ROUTER)
            stack.callback(self._socket.close)
            for option, value in (
                (zmq.LINGER, LINGER_MS),
                (zmq.MAXMSGSIZE, message_bytes),
                (zmq.RCVHWM, WAITING_MESSAGES),
                (zmq.SNDHWM, WAITING_MESSAGES),
                (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
                (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS),
                # What cannot be delivered says so, instead of vanishing: that is how those who have gone are found.
                (zmq.ROUTER_MANDATORY, 1),
            ):
                self._socket.setsockopt(option, value)
            if guard is not None:
                guard(self._socket)
            self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            stack.callback(self._monitor.close)
            stack.callback(self._socket.disable_monitor)
            path = _bind(self._socket, endpoint)
            self.is_local = path is not None
            """Whether it is a Unix socket."""
            if path is not None:
                stack.callback(_unlink, path)
            self._stack = stack.pop_all()

    @property
    def endpoint(self) -> str:
        """Where it listens, its port included."""
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        return endpoint.rstrip(b"\0").decode()

    def start(self, received: Callable[[int, Sequence[zmq.Frame]], None], lost: Callable[[int], None]) -> None:
        """Begin to take messages in.

        Args:
            received: Called with the number of a connection and the parts of its message, the sender's identity first;
                of a message of very many parts, with the first `MOST_PARTS`.
            lost: Called with the number of a connection that is over. Then the number may be another one's.
        """
        self._received, self._lost = received, lost
        self._reading = True
        self._loop.add_reader(self._socket.FD, self._take)
        self._loop.add_reader(self._monitor.FD, self._look)
        # Both tell of changes only; what has come before is no change.
        self._take()
        self._look()

    def pause(self) -> None:
        """Take no more messages in."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket.FD)
            self._loop.remove_reader(self._monitor.FD)

    def send(self, parts: Sequence[bytes]) -> bool:
        """Send a message; what its receiver does not read is dropped.

        Args:
            parts: The receiver's identity first.

        Returns:
            Whether the receiver is still there.
        """
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            return True
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        finally:
            self._check()
        return True

    def close(self) -> None:
        """Stop listening."""
        self.pause()
        self._stack.close()

    def _take(self) -> None:
        self._again = False
        for _ in range(MOST_PER_ROUND):
            if not self._reading:
                return
            try:
                more = self._take_part()
            except zmq.Again:
                return
            if more:
                continue
            parts, self._parts = self._parts, []
            # Its number may have been another connection's, whose end has to be heard of before.
            self._look()
            self._received(int(parts[-1].get(zmq.SRCFD)), parts)
        self._check()

    def _take_part(self) -> bool:
        """Take in a part; whether its message has more."""
        if len(self._parts) < MOST_PARTS:
            frame = self._socket.recv(zmq.NOBLOCK, copy=False)
            self._parts.append(frame)
            return frame.more
        # Bytes cost less than a frame, and nobody will look at them.
        self._socket.recv(zmq.NOBLOCK)
        return bool(self._socket.getsockopt(zmq.RCVMORE))

    def _check(self) -> None:
        """Come back where there is more: the file descriptor tells of changes only, and any call takes them."""
        if self._reading and not self._again and cast("int", self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._again = True
            self._loop.call_soon(self._take)

    def _look(self) -> None:
        """Hear of the connections that are over."""
        while True:
            try:
                event = self._monitor.recv_multipart(zmq.NOBLOCK)[0]
            except zmq.Again:
                return
            kind, number = _EVENT.unpack(event)
            if kind == zmq.EVENT_DISCONNECTED:
                self._lost(number)


def _nobody(*_: object) -> None:
    """Nobody listens yet."""


def _bind(socket: Socket, endpoint: str) -> str | None:
    """Bind; the path of a Unix socket."""
    # An IPv6 address is one that the link's addresses do not know.
    path = ipc_path(check_endpoint(endpoint)) if endpoint.startswith("ipc:") else None
    if path is not None and _is_served(str(path)):
        raise UnichunkError(f"cannot listen on {endpoint}: another server does; choose another path")
    try:
        with _private():
            socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise UnichunkError(f"cannot listen on {endpoint}: {error.strerror}; choose another port or path") from None
    return None if path is None else str(path)


def _is_served(path: str) -> bool:
    """Whether somebody listens on a Unix socket: ZeroMQ would take it away from them without a word."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as asking:
        try:
            asking.connect(path)
        except OSError:
            return False
        return True


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108


@contextlib.contextmanager
def _private() -> Iterator[None]:
    """What is made meanwhile is for this user alone."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
