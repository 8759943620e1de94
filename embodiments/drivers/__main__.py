"""`python -m unichunk.embodiments.drivers`: a driver without the rest of the command line."""

from __future__ import annotations

import sys

import tyro

from unichunk.embodiments.drivers.faults import parse_fault
from unichunk.embodiments.drivers.process import EXIT_FAILED, run_driver
from unichunk.embodiments.errors import EmbodimentError
from unichunk.embodiments.link import default_endpoint


def main(
    embodiment: str,
    *,
    endpoint: str | None = None,
    sim: bool = False,
    seed: int = 0,
    fault: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    ready_fd: int | None = None,
    until_stdin_closes: bool = False,
) -> int:
    """Serve a robot until SIGINT, SIGTERM or SIGHUP.

    Args:
        embodiment: The robot, see `unichunk embodiments`.
        endpoint: Where to listen: ipc:///absolute/path or tcp://host:port; this user's own place if left out.
        sim: Serve the simulated robot.
        seed: Seed of the simulated blocks' paths.
        fault: KIND@SECONDS, something that goes wrong on purpose, so many seconds after the first command:
            freeze_camera, stall_camera or die. May be repeated.
        ready_fd: Number of an inherited pipe that one byte is written to once the robot can be connected to.
        until_stdin_closes: Stop when the standard input ends too, so that the driver does not outlive its parent.

    Returns:
        The exit code: 0 stopped as asked, 1 failed, with one line on the standard error that says why.
    """
    try:
        faults = [parse_fault(text) for text in fault]
        address = default_endpoint(embodiment) if endpoint is None else endpoint
    except EmbodimentError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_FAILED
    return run_driver(
        embodiment,
        address,
        simulated=sim,
        seed=seed,
        faults=faults,
        ready_fd=ready_fd,
        until_stdin_closes=until_stdin_closes,
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
