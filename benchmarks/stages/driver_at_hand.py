"""One driver process at a time: the simulated robot, or what stands in for it."""

from __future__ import annotations

import contextlib
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from unichunk.runtime.errors import UnichunkError
from unichunk.server.ready_process import ReadyProcess
from unichunk.server.simulated_driver import END_S, START_S, simulated_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.embodiments.spec import EmbodimentSpec

Source = Literal["twin", "stand-in"]

WHAT: Final[dict[Source, str]] = {
    "twin": "the robot's simulated twin, rendered off-screen: capture includes rendering",
    "stand-in": "a stand-in driver with synthetic pictures: capture is transport alone",
}


def no_twin(spec: EmbodimentSpec) -> str:
    """Why there is no twin of this robot here; empty where there is one."""
    if find_spec("mujoco") is None:
        return "the simulator is not installed (pip install 'unichunk[sim]')"
    return f"{spec.name} has no twin" if spec.twin is None else ""


class DriverAtHand:
    """Keeps a driver running until another robot is asked for.

    Two at once would render for nobody, and disturb what is measured.

    Args:
        source: Which kind of driver.
    """

    def __init__(self, source: Source) -> None:
        self._source: Source = source
        self._stack = contextlib.ExitStack()
        self._spec_path: Path | None = None
        self._endpoint = ""

    def at(self, spec_path: Path) -> str:
        """The endpoint of a driver of this robot, started where need be.

        Raises:
            UnichunkError: Where it does not come up.
        """
        if spec_path != self._spec_path:
            self.close()
            self._endpoint = self._stack.enter_context(_driver(self._source, str(spec_path)))
            self._spec_path = spec_path
        return self._endpoint

    def close(self) -> None:
        """End the driver."""
        self._spec_path = None
        self._stack.close()


@contextlib.contextmanager
def _driver(source: Source, spec_path: str) -> Iterator[str]:
    if source == "twin":
        with simulated_driver(spec_path, 0, ()) as driver:
            yield driver.endpoint
        return
    with tempfile.TemporaryDirectory(prefix="unichunk-", ignore_cleanup_errors=True) as folder:
        endpoint = f"ipc://{folder}/driver.ipc"
        options = ["--embodiment", spec_path, "--endpoint", endpoint]
        said = Path(folder) / "said"
        process = ReadyProcess(
            "the stand-in driver", "unichunk.embodiments.drivers", options, said, start_s=START_S, end_s=END_S
        )
        try:
            process.wait_until_ready(lambda: None)
            yield endpoint
        finally:
            process.end()


def choose_source(asked: Source | None, why_not: str, try_twin: Callable[[], object]) -> tuple[Source, str]:
    """Which driver it will be, and why where it is not the twin though nobody asked for the other.

    Args:
        asked: What was asked for; None for the twin where there is one.
        why_not: Why there is no twin, or nothing.
        try_twin: Starts it; raises a `UnichunkError` where it does not come up, for example for want of rendering.

    Raises:
        UnichunkError: Where the twin was asked for, and there is none.
    """
    if asked == "stand-in":
        return "stand-in", "asked for"
    if why_not:
        if asked == "twin":
            raise UnichunkError(f"--robot twin: {why_not}; choose --robot stand-in")
        return "stand-in", why_not
    try:
        try_twin()
    except UnichunkError as error:
        if asked == "twin":
            raise
        return "stand-in", str(error)
    return "twin", ""
