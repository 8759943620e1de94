"""A simulated robot as a process of its own, for as long as a run lasts."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.server.ready_process import ReadyProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_S: Final = 30.0
"""How long a simulated robot may take to build its scene and its renderer, [s]."""

END_S: Final = 5.0
"""How long it may take to end, [s]."""


class SimulatedDriver(ReadyProcess):
    """The driver's process.

    Args:
        folder: Where its socket and what it says go.
        embodiment: Name of the robot, or path of a spec.
        options: Further arguments of `python -m unichunk.embodiments.drivers`.
    """

    def __init__(self, folder: Path, embodiment: str, options: Sequence[str]) -> None:
        self.endpoint = f"ipc://{folder / 'driver'}.ipc"
        super().__init__(
            "the simulated driver",
            "unichunk.embodiments.drivers",
            ["--embodiment", embodiment, "--sim", "--endpoint", self.endpoint, *options],
            folder / "said",
            start_s=START_S,
            end_s=END_S,
        )


@contextlib.contextmanager
def simulated_driver(
    embodiment: str,
    seed: int,
    faults: Sequence[str],
    check: Callable[[], None] = lambda: None,
    options: Sequence[str] = (),
) -> Iterator[SimulatedDriver]:
    """Start a simulated driver at an address of its own; end it on leaving.

    Args:
        embodiment: Name of the robot, or path of a spec.
        seed: Seed of the simulation.
        faults: Faults to be played, as `unichunk driver --fault` takes them.
        check: Called again and again while it comes up; may raise.
        options: Further options of `python -m unichunk.embodiments.drivers`, say `--command-loss 0.01`.

    Raises:
        UnichunkError: Where the driver does not come up; with what it said.
    """
    arguments = ["--seed", str(seed), *options]
    for fault in faults:
        arguments += ["--fault", fault]
    with tempfile.TemporaryDirectory(prefix="unichunk-", ignore_cleanup_errors=True) as folder:
        driver = SimulatedDriver(Path(folder), embodiment, arguments)
        try:
            driver.wait_until_ready(check)
            yield driver
        finally:
            driver.end()
