"""The runtime's side of the link to a driver."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from unichunk.embodiments.errors import LinkError, LinkTimeout
from unichunk.embodiments.link.endpoints import check_peer
from unichunk.embodiments.link.handles import Handles
from unichunk.embodiments.link.handshake import DriverInfo, check_welcome, route_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from unichunk.embodiments.link.command_sender import CommandSender
    from unichunk.embodiments.link.control_client import ControlClient
    from unichunk.embodiments.link.sensor_receiver import SensorReceiver
    from unichunk.embodiments.link.state_receiver import StateReceiver
    from unichunk.embodiments.spec import EmbodimentSpec

_RETRY_S: Final = 0.25
_GOODBYE_S: Final = 0.5


class DriverLink:
    """Connects to one driver and holds its command lease.

    Making a link connects nothing. Its methods belong to one thread, and so does each of its handles: `commands` (the
    control thread's), `sensors` (the inference thread's), `states` and `control` (the supervisor's). The handles may
    be handed out before `connect`: until then nothing arrives and nothing can be sent.

    Args:
        endpoint: The driver's control address, `ipc:///path` or `tcp://host:port`.
        spec: The robot that is expected there.
        timeout_s: How long a call may take, [s].
        connect_timeout_s: How long `connect` waits for a driver that may just be starting, [s]; as `timeout_s` if
            left out.
        cameras: Names of the cameras to receive, those that the policy looks at; all of the robot's if left out.

    Raises:
        LinkError: Where the endpoint is no address to connect to.
    """

    def __init__(
        self,
        endpoint: str,
        spec: EmbodimentSpec,
        *,
        timeout_s: float = 2.0,
        connect_timeout_s: float | None = None,
        cameras: Collection[str] | None = None,
    ) -> None:
        self.endpoint = check_peer(endpoint)
        self.session = secrets.token_hex(8)
        self._spec = spec
        self._timeout_s = timeout_s
        self._connect_timeout_s = timeout_s if connect_timeout_s is None else connect_timeout_s
        self._parts = Handles(self.endpoint, spec, self.session, timeout_s, cameras)

    @property
    def commands(self) -> CommandSender:
        """Sends joint set-points."""
        return self._parts.commands

    @property
    def sensors(self) -> SensorReceiver:
        """Receives observations."""
        return self._parts.sensors

    @property
    def states(self) -> StateReceiver:
        """Receives joint states."""
        return self._parts.states

    @property
    def control(self) -> ControlClient:
        """Calls the driver: ping, status, stop, task_begin, task_end."""
        return self._parts.control

    def connect(self) -> DriverInfo:
        """Ask for the command lease, measure the clock, open all sockets.

        Raises:
            LinkTimeout: Where no driver answers.
            LinkError: Where one refuses, or drives another robot.
        """
        if self._parts.connection.route is not None:
            raise LinkError(f"the link to {self.endpoint} is connected already")
        try:
            info = self._greet(self._connect_timeout_s)
            if not self._parts.open(self._timeout_s):
                raise LinkTimeout(f"the {self._spec.name} driver on {self.endpoint} takes no commands: restart it")
        except LinkError:
            self._parts.close()
            raise
        return info

    def reconnect(self, timeout_s: float) -> DriverInfo | None:
        """Find the driver again: as the same session, perhaps after a new start of it, perhaps at other addresses.

        The handles notice and follow by themselves, each in its own thread at its next use.

        Args:
            timeout_s: How long to try, [s].

        Returns:
            None where no driver answered in time.

        Raises:
            LinkError: Where one answered that refuses, or drives another robot.
        """
        deadline_s = time.monotonic() + timeout_s
        while (remaining_s := deadline_s - time.monotonic()) > 0:
            try:
                # A call can be lost with the driver that it was sent to: several short tries, not one long.
                return self._greet(min(_RETRY_S, remaining_s))
            except LinkTimeout:
                continue
        return None

    def status_report(self) -> dict[str, Any]:
        """The driver's counters and how many malformed messages reached this side, for a report.

        Raises:
            LinkTimeout: Where the driver does not answer.
        """
        status = self.control.status()
        return {
            **status.counters,
            "frames": status.frames,
            "malformed_states_received": self.states.malformed,
            "malformed_frames_received": self.sensors.malformed,
        }

    def close(self) -> None:
        """Give the lease back and close everything. The threads that use the handles must have ended before."""
        if self._parts.connection.route is not None:
            with contextlib.suppress(LinkError):  # whatever it answers, everything is closed
                self._parts.control.goodbye(min(_GOODBYE_S, self._timeout_s))
        self._parts.close()

    def _greet(self, timeout_s: float) -> DriverInfo:
        control, connection = self._parts.control, self._parts.connection
        welcome = control.hello(timeout_s)
        try:
            check_welcome(welcome, self._spec, self.endpoint)
            route = route_of(welcome, self.endpoint)
        except LinkError:
            control.goodbye(timeout_s)
            raise
        control.measure_clock(timeout_s)
        if route != connection.route:
            connection.route = route
        return DriverInfo.of(welcome, connection.clock)
