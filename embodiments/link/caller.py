"""The caller's end of the control socket: one call, one reply, one deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import zmq

from unichunk.embodiments.link.calls import REPLIES
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.sockets import dial, receive, wait_readable

if TYPE_CHECKING:
    from unichunk.embodiments.link.calls import Call, Reply
    from unichunk.embodiments.link.connection import Connection
    from unichunk.embodiments.link.sockets import Socket


class Caller:
    """Calls a driver and knows the reply by its number; used by one thread.

    Args:
        connection: Where the socket is made, at the first call.
        endpoint: The driver's control address.
    """

    def __init__(self, connection: Connection, endpoint: str) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._socket: Socket | None = None
        self._hung_up: Socket | None = None
        self._newest_id = 0

    def next_id(self) -> int:
        """A number for the next call, by which its reply is known."""
        self._newest_id += 1
        return self._newest_id

    def ask(self, call: Call, timeout_s: float) -> Reply | None:
        """Call and wait for the reply; replies to earlier calls are dropped.

        Args:
            call: With an `id` from `next_id`.
            timeout_s: How long to wait at most, [s].

        Returns:
            The reply, None where none came in time, or where the driver hung up meanwhile: it died with the call. The
            call is then forgotten: it will not reach a driver that starts later.

        Raises:
            MessageError: Where the driver answered something that is no reply.
        """
        deadline_s = time.monotonic() + timeout_s
        socket, hung_up = self._dialed()
        # One that hung up before the call is sent may be back before it would be lost.
        while receive(hung_up) is not None:
            hung_up.recv()
        socket.send(encode(call), zmq.NOBLOCK)
        while wait_readable(socket, hung_up, deadline_s=deadline_s):
            if (data := receive(socket)) is None:
                break
            if (reply := REPLIES.decode(data)).id in (call.id, 0):
                return reply
        self.close()
        return None

    def close(self) -> None:
        """Close the socket, and drop what it has not sent; the next call opens another."""
        if self._socket is not None and self._hung_up is not None:
            self._socket.disable_monitor()
            self._hung_up.close()
            self._socket.close()
        self._socket = self._hung_up = None

    def _dialed(self) -> tuple[Socket, Socket]:
        """The socket, and where it is told that the driver hung up."""
        if self._socket is None or self._hung_up is None:
            self._socket = dial(self._connection.context, self._endpoint)
            self._hung_up = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        return self._socket, self._hung_up
