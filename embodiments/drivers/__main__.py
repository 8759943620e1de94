"""`python -m unichunk.embodiments.drivers`: a driver without the rest of the command line."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  (read at run time)

import tyro

from unichunk.embodiments.drivers.faults import parse_fault
from unichunk.embodiments.drivers.process import EXIT_FAILED, run_driver
from unichunk.embodiments.drivers.twin_options import TwinOptions
from unichunk.embodiments.errors import EmbodimentError


def main(
    embodiment: str,
    *,
    endpoint: str | None = None,
    sim: bool = False,
    seed: int = 0,
    twin: tyro.conf.OmitArgPrefixes[TwinOptions] = TwinOptions(),  # noqa: B008  frozen
    fault: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    record: Path | None = None,
    ready_fd: int | None = None,
    until_stdin_closes: bool = False,
) -> int:
    """Serve a robot until SIGINT, SIGTERM or SIGHUP.

    Args:
        embodiment: The robot, see `unichunk embodiments`, or the path of a spec.
        endpoint: Where to listen: ipc:///absolute/path or tcp://host:port; this user's own place if left out.
        sim: Serve the simulated robot.
        seed: Seed of the simulated blocks' paths and of all simulated noise.
        twin: What is asked of the simulated robot.
        fault: KIND@SECONDS, something that goes wrong on purpose, so many seconds after the first command:
            freeze_camera, stall_camera or die. May be repeated.
        record: Where to write the set-points of every command period when the driver ends, an .npz file.
        ready_fd: Number of an inherited pipe that one byte is written to once the robot can be connected to.
        until_stdin_closes: Stop when the standard input ends too, so that the driver does not outlive its parent.

    Returns:
        The exit code: 0 stopped as asked, 1 failed, with one line on the standard error that says why.
    """
    try:
        faults = [parse_fault(text) for text in fault]
        conditions = twin.conditions()
    except EmbodimentError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_FAILED
    return run_driver(
        embodiment,
        endpoint,
        simulated=sim,
        seed=seed,
        conditions=conditions,
        objects=twin.objects,
        faults=faults,
        record=record,
        ready_fd=ready_fd,
        until_stdin_closes=until_stdin_closes,
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
