"""A driver as a process: what ends it, one line for each thing to say, and an exit code."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.faulty_device import FaultyDevice
from unichunk.embodiments.drivers.hardware import hardware_device
from unichunk.embodiments.drivers.recording_device import RecordingDevice
from unichunk.embodiments.drivers.server import DriverServer
from unichunk.embodiments.drivers.stop_signals import stop_on_signals
from unichunk.embodiments.drivers.twin_conditions import IDEAL, TwinConditions
from unichunk.embodiments.link.endpoints import default_endpoint
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.parent_process import announce_ready, at_end_of_input
from unichunk.runtime.realtime import realtime_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.faults import Fault
    from unichunk.embodiments.spec import EmbodimentSpec

EXIT_STOPPED: Final = 0
"""The driver was asked to stop, and did."""

EXIT_FAILED: Final = 1
"""The driver could not start, or something in it failed."""


def run_driver(
    embodiment: str,
    endpoint: str | None,
    *,
    simulated: bool,
    seed: int = 0,
    conditions: TwinConditions = IDEAL,
    objects: bool = False,
    faults: Sequence[Fault] = (),
    record: Path | None = None,
    ready_fd: int | None = None,
    until_stdin_closes: bool = False,
) -> int:
    """Serve a robot until SIGINT, SIGTERM or SIGHUP. Call it from the main thread.

    Args:
        embodiment: Name of a robot that ships, or path of a spec.
        endpoint: Where to listen for calls; None for this user's own place for the robot.
        simulated: Whether to serve the simulated robot.
        seed: Seed of the simulated blocks' paths and of all simulated noise.
        conditions: What is not ideal about the simulated robot.
        objects: Whether the loose objects of the simulated robot's spec are there.
        faults: What shall go wrong on purpose.
        record: Where to write the set-points of every command period at the end, an .npz file.
        ready_fd: A pipe that one byte is written to once calls are answered and every camera is open; then closed.
        until_stdin_closes: Stop as well when the standard input ends, as it does when the process at its other end
            dies, however that dies.

    Returns:
        The process's exit code, see `EXIT_STOPPED` and `EXIT_FAILED`.
    """
    try:
        with stop_on_signals() as stop:
            if until_stdin_closes:
                threading.Thread(target=at_end_of_input, args=(stop.set,), name="stdin", daemon=True).start()
            spec = load_spec(embodiment)
            device = _device(spec, simulated=simulated, seed=seed, conditions=conditions, objects=objects)
            if faults:
                device = FaultyDevice(device, faults)
            if record is not None:
                device = RecordingDevice(device, spec, record)

            with realtime_process(lock_memory=False) as missing:

                def ready(address: str) -> None:
                    _say(f"{spec.name} driver ({device.description}): listening on {address}, Ctrl-C to stop")
                    if missing:
                        _say(f"{spec.name} driver: {'; '.join(missing)}")
                    if ready_fd is not None:
                        announce_ready(ready_fd)

                server = DriverServer(spec, device, endpoint or default_endpoint(spec.name), realtime=True)
                server.run(stop, ready)
    except UnichunkError as error:
        _say(f"error: {error}")
        return EXIT_FAILED
    _say(f"{spec.name} driver: stopped, the robot is at rest")
    return EXIT_STOPPED


def _device(
    spec: EmbodimentSpec, *, simulated: bool, seed: int, conditions: TwinConditions, objects: bool
) -> RobotDevice:
    if not simulated:
        if conditions != IDEAL or objects:
            raise DriverError("noise, delay, loss and loose objects are the simulated robot's: add --sim")
        return hardware_device(spec)
    if spec.twin is None:
        raise DriverError(
            f"{spec.name} has no simulated twin: its spec lacks `twin` ({{}} is enough for one on a table)"
        )
    # Not at the top: MuJoCo is an extra, and hardware drivers run without it.
    from unichunk.embodiments.drivers.simulated import SimulatedDevice  # noqa: PLC0415

    return SimulatedDevice(spec, seed, conditions, objects=objects)


def _say(line: str) -> None:
    # The robot is more important than who listens: a closed or broken standard error ends nothing.
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
