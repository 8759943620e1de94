"""A link's parts: what they share, and one handle for each thread that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.embodiments.link.command_sender import CommandSender
from unichunk.embodiments.link.connection import Connection
from unichunk.embodiments.link.control_client import ControlClient
from unichunk.embodiments.link.sensor_receiver import SensorReceiver
from unichunk.embodiments.link.state_receiver import StateReceiver

if TYPE_CHECKING:
    from collections.abc import Collection

    from unichunk.embodiments.spec import EmbodimentSpec


class Handles:
    """Made with the link, without a socket; open between connecting and closing, as often as that happens."""

    def __init__(
        self, endpoint: str, spec: EmbodimentSpec, session: str, timeout_s: float, cameras: Collection[str] | None
    ) -> None:
        self.connection = Connection(spec, session)
        self.control = ControlClient(self.connection, endpoint, timeout_s)
        self.commands = CommandSender(self.connection)
        self.sensors = SensorReceiver(self.connection, cameras)
        self.states = StateReceiver(self.connection)

    def open(self, timeout_s: float) -> bool:
        """Open all sockets; wait until commands can leave, at most so long, [s], and say whether they can."""
        self.sensors.open()
        self.states.open()
        return self.commands.open(timeout_s)

    def close(self) -> None:
        """Close all sockets."""
        self.connection.route = None
        for handle in (self.commands, self.sensors, self.states, self.control):
            handle.close()
        self.connection.end()
