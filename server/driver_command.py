"""`unichunk driver`: the process that talks to one robot."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (read at run time)
from typing import Annotated

import tyro

from unichunk.embodiments.drivers.faults import parse_fault
from unichunk.embodiments.drivers.process import EXIT_FAILED, run_driver
from unichunk.embodiments.drivers.twin_options import TwinOptions
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
    """Name of the robot, `unichunk embodiments` lists them, or the path of a spec of your own."""
    sim: bool = False
    """Serve the simulated twin."""
    endpoint: str | None = None
    """Where to listen, for example tcp://0.0.0.0:5600. Without it, a socket of this user's on this host."""
    seed: int = 0
    """Seed of the simulation."""
    twin: tyro.conf.OmitArgPrefixes[TwinOptions] = field(default_factory=TwinOptions)
    record: Path | None = None
    """Where to write the set-points of every command period when the driver ends, an .npz file. Its first 11 minutes
    of commands are kept; what does not fit is counted, and said at the end."""
    fault: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """With --sim: faults to play, for example freeze_camera@5, stall_camera@5 or die@8."""

    def __call__(self) -> int:
        """Serve until stopped; return the exit status."""
        try:
            faults = [parse_fault(text) for text in self.fault]
            conditions = self.twin.conditions()
        except UnichunkError as error:
            say(f"unichunk driver: {error}\n", sys.stderr)
            return EXIT_FAILED
        return run_driver(
            self.embodiment,
            self.endpoint,
            simulated=self.sim,
            seed=self.seed,
            conditions=conditions,
            objects=self.twin.objects,
            faults=faults,
            record=self.record,
        )
