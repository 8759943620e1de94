"""`unichunk driver`: the process that talks to one robot."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from unichunk.embodiments.drivers.faults import parse_fault
from unichunk.embodiments.drivers.process import EXIT_FAILED, run_driver
from unichunk.embodiments.link.endpoints import default_endpoint
from unichunk.runtime.errors import UnichunkError
from unichunk.server.say import say


@dataclass
class Driver:
    """Serve a robot (or its simulated twin) to a runtime.

    Ctrl-C brings the robot to rest and ends the driver, and so do SIGTERM and a terminal that is closed. Exit status:
    0 stopped as asked, 1 failed, with one line on the standard error that says why.

    Try: unichunk driver so101 --sim
    """

    embodiment: tyro.conf.Positional[str]
    """Name of the robot; `unichunk embodiments` lists them."""
    sim: bool = False
    """Serve the simulated twin."""
    endpoint: str | None = None
    """Where to listen, for example tcp://0.0.0.0:5600. Without it, a socket of this user's on this host."""
    seed: int = 0
    """Seed of the simulation."""
    fault: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """With --sim: faults to play, for example freeze_camera@5, stall_camera@5 or die@8."""

    def __call__(self) -> int:
        """Serve until stopped; return the exit status."""
        try:
            endpoint = self.endpoint or default_endpoint(self.embodiment)
            faults = [parse_fault(text) for text in self.fault]
        except UnichunkError as error:
            say(f"unichunk driver: {error}\n", sys.stderr)
            return EXIT_FAILED
        return run_driver(self.embodiment, endpoint, simulated=self.sim, seed=self.seed, faults=faults)
