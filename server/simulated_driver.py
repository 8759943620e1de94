"""A simulated robot as a process of its own, for as long as a run lasts."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_S: Final = 30.0
"""How long a simulated robot may take to build its scene and its renderer, [s]."""

END_S: Final = 5.0
"""How long it may take to end, [s]."""

_LOOK_S: Final = 0.02


class SimulatedDriver:
    """The driver's process.

    Args:
        folder: Where its socket and what it says go.
        embodiment: Name of the robot.
        options: Further arguments of `python -m unichunk.embodiments.drivers`.
    """

    def __init__(self, folder: Path, embodiment: str, options: Sequence[str]) -> None:
        self.endpoint = f"ipc://{folder / embodiment}.ipc"
        self._said = folder / "said"
        self._listening = 0
        self._ready, ready = os.pipe()
        command = [sys.executable, "-m", "unichunk.embodiments.drivers", "--embodiment", embodiment, "--sim"]
        command += ["--endpoint", self.endpoint, *options]
        # The pipe to its input closes however this process ends, and ends the driver with it.
        command += ["--ready-fd", str(ready), "--until-stdin-closes"]
        try:
            with self._said.open("wb") as said:
                # A session of its own: Ctrl-C goes to the runtime, which holds the robot and then ends the driver.
                self._process = subprocess.Popen(  # noqa: S603  our own module
                    command, start_new_session=True, pass_fds=[ready], stdin=subprocess.PIPE, stderr=said
                )
        except BaseException:
            os.close(self._ready)
            raise
        finally:
            os.close(ready)

    def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Wait until the driver answers calls and its cameras deliver.

        Args:
            check: Called again and again meanwhile; may raise.

        Raises:
            UnichunkError: Where the driver does not come up; with what it said.
        """
        deadline = time.monotonic() + START_S
        while not select.select([self._ready], [], [], _LOOK_S)[0]:
            check()
            if time.monotonic() > deadline:
                raise UnichunkError(f"the simulated driver was not up after {START_S:g} s: is the machine overloaded?")
        if not os.read(self._ready, 1):
            # It closed the pipe without a word: it is ending.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
            raise UnichunkError(f"the simulated driver did not come up ({self._status()}): {self._last_words()}")
        self._listening = self._said.stat().st_size

    def failure(self) -> str:
        """How the driver ended and what it said last; empty while it runs."""
        if self._process.poll() is None:
            return ""
        return f"the simulated driver ended ({self._status()}): {self._last_words()}"

    def end(self) -> None:
        """End the driver, by force if need be; it may have ended already."""
        assert self._process.stdin is not None
        os.close(self._ready)
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _status(self) -> str:
        status = self._process.returncode
        if status is not None and status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"status {status}"

    def _last_words(self) -> str:
        """The line in which the driver said what was wrong, or else its last one, since it was ready."""
        lines = self._said.read_bytes()[self._listening :].decode(errors="replace").strip().splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or ["without a word"])[-1].removeprefix("error: ")


@contextlib.contextmanager
def simulated_driver(
    embodiment: str, seed: int, faults: Sequence[str], check: Callable[[], None] = lambda: None
) -> Iterator[SimulatedDriver]:
    """Start a simulated driver at an address of its own; end it on leaving.

    Args:
        embodiment: Name of the robot.
        seed: Seed of the simulation.
        faults: Faults to be played, as `unichunk driver --fault` takes them.
        check: Called again and again while it comes up; may raise.

    Raises:
        UnichunkError: Where the driver does not come up; with what it said.
    """
    options = ["--seed", str(seed)]
    for fault in faults:
        options += ["--fault", fault]
    with tempfile.TemporaryDirectory(prefix="unichunk-", ignore_cleanup_errors=True) as folder:
        driver = SimulatedDriver(Path(folder), embodiment, options)
        try:
            driver.wait_until_ready(check)
            yield driver
        finally:
            driver.end()
