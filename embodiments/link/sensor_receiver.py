"""The inference thread's end of the link: the newest frame of every camera, with the state that belongs to it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import zmq

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.conversion import to_camera_frame, to_robot_state
from unichunk.embodiments.link.messages import FRAMES
from unichunk.embodiments.link.sockets import receive, subscribe
from unichunk.runtime.observation import Observation

if TYPE_CHECKING:
    from collections.abc import Collection

    from unichunk.embodiments.link.connection import Connection, Route
    from unichunk.embodiments.link.sockets import Socket
    from unichunk.runtime.observation import CameraFrame, RobotState


class SensorReceiver:
    """Receives camera frames; used by one thread.

    Args:
        connection: What the link's handles share.
        cameras: Names of the cameras to receive; all of the robot's if left out. Others cost nothing here, make no
            observation older and are not missed when they fail.
    """

    def __init__(self, connection: Connection, cameras: Collection[str] | None = None) -> None:
        self._connection = connection
        known = connection.spec.cameras
        self._cameras = {name: camera for name, camera in known.items() if cameras is None or name in cameras}
        self._joints = len(connection.spec.joints)
        self._route: Route | None = None
        self._sockets: dict[str, Socket] = {}
        self._poller = zmq.Poller()
        self._newest: dict[str, tuple[CameraFrame, RobotState]] = {}
        self._observation: Observation | None = None
        self._malformed = 0

    @property
    def malformed(self) -> int:
        """Messages that were skipped because they were no valid frame of their camera."""
        return self._malformed

    def newest(self) -> Observation | None:
        """The newest frame of every camera, and the state measured closest to the oldest of them. Never waits.

        Returns:
            None until every camera has delivered since (re)connecting. Without anything new the same object again:
            look at its stamp for its age.
        """
        self.open()
        arrived = False
        for name, socket in self._sockets.items():
            while (data := receive(socket)) is not None:
                arrived |= self._take(name, data)
        if arrived and len(self._newest) == len(self._cameras):
            oldest, state = min(self._newest.values(), key=lambda pair: pair[0].stamp_ns)
            frames = {name: frame for name, (frame, _) in self._newest.items()}
            self._observation = Observation(oldest.stamp_ns, state, frames)
        return self._observation

    def wait(self, timeout_s: float) -> bool:
        """Wait for something new from any camera, at most so long, [s]; says whether there is."""
        self.open()
        if not self._sockets:
            # A poller without sockets would not wait.
            time.sleep(timeout_s)
            return False
        return bool(self._poller.poll(math.ceil(timeout_s * 1000)))

    def open(self) -> None:
        """Open sockets where the driver is now, unless that was done."""
        route = self._connection.route
        if route is self._route:
            return
        self.close()
        if route is not None:
            for name in self._cameras:
                socket = subscribe(self._connection.context, route.cameras[name])
                self._sockets[name] = socket
                self._poller.register(socket, zmq.POLLIN)
        self._route = route

    def close(self) -> None:
        """Close the sockets and forget what came through them."""
        for socket in self._sockets.values():
            self._poller.unregister(socket)
            socket.close()
        self._sockets.clear()
        self._newest.clear()
        self._observation = None
        self._route = self._connection.route

    def _take(self, name: str, data: bytes) -> bool:
        clock = self._connection.clock
        try:
            message = FRAMES.decode(data)
            frame = to_camera_frame(message, clock, self._cameras[name])
            self._newest[name] = frame, to_robot_state(message.state, clock, self._joints)
        except MessageError:
            self._malformed += 1
            return False
        return True
