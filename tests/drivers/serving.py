"""Drivers that run in a thread of the test, and links to them."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.embodiments.drivers.server import DriverServer
from unichunk.embodiments.link import DriverLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.spec import EmbodimentSpec


def eventually(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
        time.sleep(0.005)


@dataclass
class Served:
    """A driver that runs, and links to it that are closed before it ends."""

    spec: EmbodimentSpec
    device: RobotDevice
    endpoint: str
    links: ExitStack

    def make_link(self, spec: EmbodimentSpec | None = None) -> DriverLink:
        link = DriverLink(self.endpoint, spec or self.spec, timeout_s=30.0)
        self.links.callback(link.close)
        return link


@contextmanager
def serve(spec: EmbodimentSpec, device: RobotDevice, endpoint: str) -> Iterator[Served]:
    """Run a driver in a thread; what makes it fail is raised here."""
    stop, ready = threading.Event(), threading.Event()
    address: list[str] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            DriverServer(spec, device, endpoint).run(stop, lambda text: (address.append(text), ready.set()))
        except BaseException as error:  # noqa: BLE001  raised in the test's own thread
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60)
        if not address:
            raise failure[0]
        with ExitStack() as links:
            yield Served(spec, device, address[0], links)
    finally:
        stop.set()
        thread.join(60)
    if failure:
        raise failure[0]
