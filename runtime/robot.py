"""What the runtime needs to know of a robot, and how it reaches one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from unichunk.runtime.control_loop import CommandSink
    from unichunk.runtime.fallback import Fallback
    from unichunk.runtime.inference_thread import ObservationSource
    from unichunk.runtime.limits import JointLimits
    from unichunk.runtime.observation import RobotState


@dataclass(frozen=True)
class RobotSettings:
    """A robot's constants.

    Attributes:
        name: The embodiment.
        action_hz: Ticks a second.
        command_hz: Commands a second.
        limits: The joints' limits.
        fallback: What runs where no row is.
        watchdog_s: The driver stops the robot after this long without a command, [s].
        observation_max_age_s: Older observations are not acted on, [s].
        frozen_camera_s: The same picture for this long is a frozen camera, [s].
        following_error: A joint this far from its command, [rad], ...
        following_error_s: ... for this long, [s], does not follow.
        delay_margin_ticks: Ticks on top of the measured latency.
        minimum_postfix_ticks: Fewest rows a chunk must keep after its prefix.
    """

    name: str
    action_hz: int
    command_hz: int
    limits: JointLimits
    fallback: Fallback
    watchdog_s: float
    observation_max_age_s: float
    frozen_camera_s: float
    following_error: float
    following_error_s: float
    delay_margin_ticks: int
    minimum_postfix_ticks: int


class StateSource(Protocol):
    """Where joint states come from, apart from observations."""

    @property
    def commanding(self) -> bool:
        """Whether the driver's newest state says that it follows us; False after it was started anew."""
        ...

    def newest(self) -> RobotState | None:
        """The newest state; None until there is one. Never blocks."""
        ...


class DriverControl(Protocol):
    """Calls to the driver. The task's are answered by simulated robots; a real one's numbers are empty."""

    def ping(self, timeout_s: float | None = None) -> float:
        """Measure the round trip, [s]; keeps the driver's attention and its clock's offset fresh."""
        ...

    def task_begin(self, instruction: str) -> str:
        """Begin to measure how well an instruction is followed; why that is not measured, empty otherwise."""
        ...

    def task_end(self) -> dict[str, float]:
        """End the measurement: numbers by name, the names carry their units."""
        ...


class RobotLink(Protocol):
    """The way to a driver process. Each handle belongs to one thread; they exist before connecting."""

    @property
    def commands(self) -> CommandSink:
        """For the control thread."""
        ...

    @property
    def sensors(self) -> ObservationSource:
        """For the inference thread."""
        ...

    @property
    def states(self) -> StateSource:
        """For the supervisor."""
        ...

    @property
    def control(self) -> DriverControl:
        """For the supervisor."""
        ...

    def connect(self) -> object:
        """Find the driver and take the robot over; raises an error that says what is wrong."""
        ...

    def reconnect(self, timeout_s: float) -> object | None:
        """Find a driver that went away; None where it did not come back in time."""
        ...

    def status_report(self) -> dict[str, Any]:
        """The driver's counters and this side's, for the report; may raise where the driver does not answer."""
        ...

    def close(self) -> None:
        """Give the robot back, at rest."""
        ...
