"""The control thread's end of the link: one message a command, never a wait, never an exception."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import zmq

from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import Command
from unichunk.embodiments.link.sockets import push

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.link.connection import Connection, Route
    from unichunk.embodiments.link.sockets import Socket


class CommandSender:
    """Sends commands; used by one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shape = (len(connection.spec.joints),)
        self._route: Route | None = None
        self._socket: Socket | None = None
        self._sequence = 0

    @property
    def sequence(self) -> int:
        """Sequence number of the newest command sent, 0 before the first; states say which one was followed."""
        return self._sequence

    def open(self, timeout_s: float) -> bool:
        """Open the socket and wait until the driver is there, so that the first command already arrives.

        Args:
            timeout_s: How long at most, [s].

        Returns:
            Whether it is.
        """
        self._follow_route()
        return self._socket is not None and bool(self._socket.poll(int(timeout_s * 1000), zmq.POLLOUT))

    def send(self, tick: int, q: NDArray[np.float64]) -> bool:
        """Send joint set-points, stamped now.

        Args:
            tick: The action step they belong to.
            q: Joint positions, shape (n,), float64, [rad], in the spec's order.

        Returns:
            False where it could not be sent: no driver is connected at the moment, the link is closed, or `q` is not
            an array of that shape and type.
        """
        if q.shape != self._shape or q.dtype != np.float64:
            return False
        try:
            if self._connection.route is not self._route:
                self._follow_route()
            if self._socket is None:
                return False
            self._sequence += 1
            message = Command(
                session=self._connection.session,
                sequence=self._sequence,
                tick=tick,
                stamp_ns=self._connection.clock.to_driver(time.monotonic_ns()),
                q=q,
            )
            self._socket.send(encode(message), zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def close(self) -> None:
        """Close the socket; sending fails from here on."""
        self._drop()
        self._route = self._connection.route

    def _follow_route(self) -> None:
        route = self._connection.route
        self._drop()
        if route is not None:
            self._socket = push(self._connection.context, route.command)
        self._route = route

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
