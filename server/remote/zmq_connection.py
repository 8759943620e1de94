"""A ZeroMQ connection to a policy server: a new socket for each, so that nothing of an older one can come out of it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from unichunk.server.remote.connection import CONNECT_S, HANDSHAKE_S, ConnectionLost, Forbidden, Unreachable

if TYPE_CHECKING:
    from unichunk.embodiments.link.sockets import Context, Socket
    from unichunk.server.remote.address import Address
    from unichunk.server.remote.credentials import Credentials

MOST_ANSWER_BYTES: Final = 16 * 2**20
USER_TIMEOUT_MS: Final = 3000

_COPY_BYTES: Final = 64 * 1024
_LINGER_MS: Final = 50
_GONE: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_CLOSE_FAILED
_FAILED: Final = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_REFUSED: Final = zmq.EVENT_HANDSHAKE_FAILED_AUTH
_WATCHED: Final = (
    _GONE | _FAILED | _REFUSED | zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_CONNECT_RETRIED
)


class ZmqDialer:
    """Opens ZeroMQ connections to one address.

    Args:
        address: Where.
        credentials: CURVE keys, if any.
    """

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self._address = address
        self._credentials = credentials
        self._context: Context = zmq.Context()

    def dial(self) -> ZmqConnection:
        """Connect, and wait until both sides have shaken hands."""
        socket = self._context.socket(zmq.DEALER)
        connection = ZmqConnection(socket)
        try:
            socket.setsockopt(zmq.IPV6, 1)
            socket.setsockopt(zmq.MAXMSGSIZE, MOST_ANSWER_BYTES)
            # Whether to connect again is decided here, not by a socket in silence.
            socket.setsockopt(zmq.RECONNECT_IVL, -1)
            socket.setsockopt(zmq.CONNECT_TIMEOUT, math.ceil(CONNECT_S * 1e3))
            socket.setsockopt(zmq.TCP_MAXRT, USER_TIMEOUT_MS)
            if self._credentials.curve is not None:
                self._credentials.curve.use(socket)
            socket.connect(self._address.endpoint)
            connection.shake_hands()
        except zmq.ZMQError as error:
            connection.close()
            raise Unreachable(error.strerror or str(error)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """End ZeroMQ's thread; all connections are closed by now."""
        self._context.term()


class ZmqConnection:
    """One connection.

    Args:
        socket: A DEALER that is not connected yet.
    """

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._monitor = socket.get_monitor_socket(_WATCHED)
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def shake_hands(self) -> None:
        """Wait until the connection stands.

        Raises:
            Unreachable: Where it does not in time, or cannot.
            Forbidden: Where the keys do not fit.
        """
        until = time.monotonic() + CONNECT_S
        while (left_s := until - time.monotonic()) > 0:
            if not self._monitor.poll(math.ceil(left_s * 1e3)):
                continue
            event = self._event()
            if event == zmq.EVENT_CONNECTED:
                until = time.monotonic() + HANDSHAKE_S
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return
            if event & _REFUSED:
                raise Forbidden("the server does not take this CURVE key: ask its administrator for one")
            if event & _FAILED:
                raise Unreachable("the ZeroMQ handshake failed: does one side use CURVE keys and the other not?")
            if event & (_GONE | zmq.EVENT_CONNECT_RETRIED):
                raise Unreachable("connection refused, or closed in the handshake")
        raise Unreachable("no answer in time")

    def send(self, message: bytes, deadline: float) -> None:  # noqa: ARG002  it never waits
        """Hand a message to ZeroMQ's thread."""
        self._check()
        try:
            self._socket.send(message, zmq.NOBLOCK, copy=len(message) < _COPY_BYTES)
        except zmq.ZMQError as error:
            raise ConnectionLost(f"the connection takes nothing more ({error.strerror})") from None

    def receive(self, deadline: float) -> bytes | None:
        """The next message; None where none has come by then."""
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            ready = dict(self._poller.poll(math.ceil(left_s * 1e3)))
            if self._socket in ready:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
                if len(parts) == 1:
                    return parts[0]
            elif ready:
                self._check()
            elif left_s == 0:
                return None

    def close(self) -> None:
        """Hang up."""
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        # A goodbye may still be on its way out.
        self._socket.close(linger=_LINGER_MS)

    def _check(self) -> None:
        while self._monitor.poll(0):
            if self._event() & (_GONE | _FAILED | _REFUSED):
                raise ConnectionLost("the server hung up")

    def _event(self) -> int:
        return int(recv_monitor_message(self._monitor)["event"])
