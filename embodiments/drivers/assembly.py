"""How a driver's parts are put together: which loop knows which socket, lease and counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.drivers.camera_loop import CameraLoop
from unichunk.embodiments.drivers.command_intake import CommandIntake
from unichunk.embodiments.drivers.control_loop import ControlLoop
from unichunk.embodiments.drivers.control_service import ControlService
from unichunk.embodiments.drivers.counters import Counters
from unichunk.embodiments.drivers.driver_thread import DriverThread
from unichunk.embodiments.drivers.group_rates import GroupCommands, GroupRates
from unichunk.embodiments.drivers.lease import Lease
from unichunk.embodiments.drivers.state_history import StateHistory
from unichunk.embodiments.drivers.stream_conditioner import StreamConditioner
from unichunk.embodiments.drivers.watchdog import Watchdog
from unichunk.embodiments.drivers.welcome import welcome_of
from unichunk.embodiments.link.calls import DriverStatus

if TYPE_CHECKING:
    import threading

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.sockets import DriverSockets
    from unichunk.embodiments.spec import EmbodimentSpec

_LEAST_LEASE_NS: Final = 1_000_000_000
_LEAST_HISTORY: Final = 64


@dataclass(frozen=True)
class DriverThreads:
    """A driver's threads.

    Attributes:
        cameras: One for each camera.
        opened: Set by each of those when its camera is open.
        serving: The control loop and the control service; to be started when all cameras are open, because opening
            one may hold up everything else in the process for tenths of a second.
    """

    cameras: tuple[DriverThread, ...]
    opened: tuple[threading.Event, ...]
    serving: tuple[DriverThread, ...]

    @property
    def control_loop(self) -> DriverThread:
        """The one that the robot depends on."""
        return self.serving[0]

    def all(self) -> tuple[DriverThread, ...]:
        """All of them; what a robot depends on most comes first."""
        return (*self.serving, *self.cameras)


def assemble(
    spec: EmbodimentSpec, device: RobotDevice, sockets: DriverSockets, boot: str, halt: threading.Event
) -> DriverThreads:
    """Make a driver's threads, not yet started.

    Args:
        spec: The robot.
        device: The robot's driver, started.
        sockets: All sockets; each goes to one thread.
        boot: Random name of this start.
        halt: Ends all threads.
    """
    watchdog_ns = round(spec.watchdog_s * 1e9)
    rates = GroupRates({name: group.command_hz for name, group in spec.groups.items()}, spec.command_hz)
    groups = GroupCommands(rates, {name: spec.joint_index(name) for name in spec.groups})
    counters = Counters(applied=groups.applied)
    lease = Lease(max(watchdog_ns, _LEAST_LEASE_NS))
    watchdog = Watchdog(watchdog_ns)
    history = StateHistory(max(_LEAST_HISTORY, spec.command_hz))
    sources = device.cameras()
    cameras = {
        name: CameraLoop(name, camera, sources[name], sockets.cameras[name], history)
        for name, camera in spec.cameras.items()
    }
    control_loop = ControlLoop(
        device=device,
        rate_hz=spec.command_hz,
        groups=groups,
        commands=sockets.command,
        states=sockets.state,
        intake=CommandIntake(spec.limits, lease, watchdog_ns, counters),
        lease=lease,
        watchdog=watchdog,
        history=history,
        counters=counters,
        conditioner=StreamConditioner(spec.limits, spec.command_hz, counters),
        most_missed=0 if spec.checked_stream else round(spec.watchdog_s * spec.command_hz),
    )

    def status() -> DriverStatus:
        return DriverStatus(
            id=0,
            holder=lease.holder,
            watchdog=lease.suspended and not lease.stopped and watchdog.tripped(lease.grant),
            stopped=lease.stopped,
            counters=counters.as_dict(),
            frames={name: camera.published for name, camera in cameras.items()},
        )

    service = ControlService(
        socket=sockets.control,
        device=device,
        lease=lease,
        counters=counters,
        welcome=welcome_of(spec, device, sockets, boot),
        status=status,
    )
    return DriverThreads(
        cameras=tuple(DriverThread(f"camera {name}", camera.run, halt) for name, camera in cameras.items()),
        opened=tuple(camera.opened for camera in cameras.values()),
        serving=(
            DriverThread("control loop", control_loop.run, halt),
            DriverThread("control service", service.run, halt),
        ),
    )
