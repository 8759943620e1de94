"""A driver as a process: signals, one line for each thing to say, and an exit code."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.faulty_device import FaultyDevice
from unichunk.embodiments.drivers.server import DriverServer
from unichunk.embodiments.spec import load_spec
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.faults import Fault
    from unichunk.embodiments.spec import EmbodimentSpec

EXIT_STOPPED: Final = 0
"""The driver was asked to stop, and did."""

EXIT_FAILED: Final = 1
"""The driver could not start, or something in it failed."""

_SWITCH_S: Final = 0.0005


def run_driver(name: str, endpoint: str, *, simulated: bool, seed: int = 0, faults: Sequence[Fault] = ()) -> int:
    """Serve a robot until SIGINT or SIGTERM. Call it from the main thread.

    Args:
        name: The embodiment.
        endpoint: Where to listen for calls.
        simulated: Whether to serve the simulated robot.
        seed: Seed of the simulated target's path.
        faults: What shall go wrong on purpose.

    Returns:
        The process's exit code, see `EXIT_STOPPED` and `EXIT_FAILED`.
    """

    def ready(address: str) -> None:
        _say(f"{name} driver ({device.description}): listening on {address}, Ctrl-C to stop")

    try:
        spec = load_spec(name)
        device = _device(spec, simulated=simulated, seed=seed)
        if faults:
            device = FaultyDevice(device, faults)
        # Threads that compute in Python give way sooner, for the sake of the control loop.
        sys.setswitchinterval(_SWITCH_S)
        with _stop_on_signals() as stop:
            DriverServer(spec, device, endpoint).run(stop, ready)
    except UnichunkError as error:
        _say(f"error: {error}")
        return EXIT_FAILED
    _say(f"{name} driver: stopped, the robot is at rest")
    return EXIT_STOPPED


def _device(spec: EmbodimentSpec, *, simulated: bool, seed: int) -> RobotDevice:
    if not simulated:
        raise DriverError(f"there is no hardware driver for {spec.name} yet: add --sim for the simulated robot")
    # Not at the top: MuJoCo is an extra, and hardware drivers run without it.
    from unichunk.embodiments.drivers.simulated import SimulatedDevice  # noqa: PLC0415

    return SimulatedDevice(spec, seed)


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
