"""A simulated robot as a process of its own, for as long as a run lasts."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S: Final = 30.0
"""How long a simulated robot may take to build its scene and its renderer, [s]."""


@contextlib.contextmanager
def simulated_driver(embodiment: str, seed: int, faults: tuple[str, ...]) -> Iterator[str]:
    """Start a simulated driver at an address of its own; stop it on leaving.

    Args:
        embodiment: Name of the robot.
        seed: Seed of the simulation.
        faults: Faults to be played, as `unichunk driver --fault` takes them.

    Yields:
        The driver's endpoint.

    Raises:
        UnichunkError: Where the driver does not come up; with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder:
        endpoint = f"ipc://{Path(folder) / embodiment}.ipc"
        command = [sys.executable, "-m", "unichunk.embodiments.drivers", "--embodiment", embodiment, "--sim"]
        command += ["--endpoint", endpoint, "--seed", str(seed)]
        for fault in faults:
            command += ["--fault", fault]
        # A session of its own: Ctrl-C goes to the runtime first, which holds the robot and then ends the driver.
        said = Path(folder) / "said"
        with said.open("wb") as file:
            process = subprocess.Popen(command, start_new_session=True, stderr=file)  # noqa: S603  our own module
        try:
            _wait_until_up(process, Path(folder) / f"{embodiment}.ipc", said)
            yield endpoint
        finally:
            process.terminate()
            try:
                process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], socket: Path, said: Path) -> None:
    deadline = time.monotonic() + START_S
    while not socket.exists():
        status = process.poll()
        if status is not None:
            last = "".join(said.read_text(errors="replace").strip().splitlines()[-1:])
            raise UnichunkError(f"the simulated driver did not come up (status {status}): {last}")
        if time.monotonic() > deadline:
            raise UnichunkError(f"the simulated driver was not up after {START_S:g} s: is the machine overloaded?")
        time.sleep(0.02)
