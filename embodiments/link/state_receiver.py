"""The supervisor's end of the link: the newest joint state, and whether the driver still knows us."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.conversion import to_robot_state
from unichunk.embodiments.link.messages import STATES
from unichunk.embodiments.link.sockets import receive, subscribe, wait_readable

if TYPE_CHECKING:
    from unichunk.embodiments.link.connection import Connection, Route
    from unichunk.embodiments.link.messages import State
    from unichunk.embodiments.link.sockets import Socket
    from unichunk.runtime.observation import RobotState


class StateReceiver:
    """Receives joint states; used by one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._joints = len(connection.spec.joints)
        self._route: Route | None = None
        self._socket: Socket | None = None
        self._newest: RobotState | None = None
        self._message: State | None = None
        self._malformed = 0

    @property
    def malformed(self) -> int:
        """Messages that were skipped because they were no valid state."""
        return self._malformed

    @property
    def commanding(self) -> bool:
        """Whether the driver's newest state names us as the session it follows.

        False after the driver was started anew, or another session has taken over: time to reconnect.
        """
        return self._message is not None and self._message.session == self._connection.session

    @property
    def last_command_sequence(self) -> int:
        """Sequence number of the newest command that the driver followed, -1 before the first."""
        return -1 if self._message is None else self._message.last_command_sequence

    def newest(self) -> RobotState | None:
        """The newest state, None before the first since (re)connecting. Never waits; look at its stamp for its age."""
        self.open()
        while self._socket is not None and (data := receive(self._socket)) is not None:
            self._take(data)
        return self._newest

    def wait(self, timeout_s: float) -> bool:
        """Wait for something new, at most so long, [s]; says whether there is."""
        self.open()
        if self._socket is None:
            time.sleep(timeout_s)
            return False
        return wait_readable(self._socket, deadline_s=time.monotonic() + timeout_s)

    def open(self) -> None:
        """Open a socket where the driver is now, unless that was done."""
        route = self._connection.route
        if route is self._route:
            return
        self.close()
        if route is not None:
            self._socket = subscribe(self._connection.context, route.state)
        self._route = route

    def close(self) -> None:
        """Close the socket and forget what came through it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._newest = self._message = None
        self._route = self._connection.route

    def _take(self, data: bytes) -> None:
        try:
            message = STATES.decode(data)
            self._newest = to_robot_state(message, self._connection.clock, self._joints)
        except MessageError:
            self._malformed += 1
        else:
            self._message = message
