"""A driver: one robot, served on one address."""

from __future__ import annotations

import gc
import secrets
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.drivers.assembly import DriverThreads, assemble
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.sockets import DriverSockets
from unichunk.embodiments.errors import EmbodimentError
from unichunk.runtime.realtime import collect_between_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.driver_thread import DriverThread
    from unichunk.embodiments.spec import EmbodimentSpec

_CHECK_S: Final = 0.05
_END_S: Final = 3.0
_CHECKS_PER_COLLECTION: Final = 20


class DriverServer:
    """Serves a robot: a control loop, a thread for calls, and one for every camera.

    Args:
        spec: What the robot is.
        device: The robot.
        endpoint: Where to listen for calls; `tcp://host:*` takes any free port.
        realtime: Whether the process is this driver's own, and within `realtime_process`: the control loop is preferred
            to everything else, and garbage is collected by `run`, except what was alive before it began to serve.
    """

    def __init__(self, spec: EmbodimentSpec, device: RobotDevice, endpoint: str, *, realtime: bool = False) -> None:
        self._spec = spec
        self._device = device
        self._endpoint = endpoint
        self._realtime = realtime

    def run(self, stop: threading.Event, ready: Callable[[str], None] | None = None) -> None:
        """Serve until told to stop, then bring the robot to rest and release everything.

        Args:
            stop: Set by anyone, a signal handler too: it is only looked at here, never waited for, because waiting
                takes a lock that a handler in the same thread would find taken.
            ready: Called with the control address once calls are answered.

        Raises:
            DriverError: Where the driver cannot start, or one of its threads failed: one line.
            LinkError: Where the endpoint is no address.
        """
        with ExitStack() as stack:
            # First the address: where another driver has it, the hardware is not touched.
            sockets = DriverSockets(self._endpoint, self._spec.cameras)
            stack.callback(sockets.close)
            self._device.start()
            stack.callback(self._device.stop)
            halt = threading.Event()
            threads = assemble(self._spec, self._device, sockets, secrets.token_hex(8), halt)
            if _open_cameras(threads, stop, halt):
                if self._realtime:
                    _prepare(threads)
                for thread in threads.serving:
                    thread.start()
                if ready is not None:
                    ready(sockets.endpoint)
                self._wait(stop, halt)
            halt.set()
            if stuck := _join(threads.all()):
                # Closing under its feet what a thread still uses would crash the process: leave it to the exit.
                stack.pop_all()
                raise self._failed(stuck, f"did not end within {_END_S:.0f} s")
        for thread in threads.all():
            if thread.failure is not None:
                raise self._failed(thread, _explain(thread.failure)) from thread.failure

    def _wait(self, stop: threading.Event, halt: threading.Event) -> None:
        checks = 0
        while not (stop.is_set() or halt.wait(_CHECK_S)):
            checks += 1
            if self._realtime and checks % _CHECKS_PER_COLLECTION == 0:
                collect_between_chunks()

    def _failed(self, thread: DriverThread, how: str) -> DriverError:
        return DriverError(f"the {self._spec.name} driver stopped: its {thread.name} {how}")


def _prepare(threads: DriverThreads) -> None:
    threads.control_loop.preferred = True
    # What starting has left, before anything is in a hurry.
    gc.collect()
    gc.freeze()


def _open_cameras(threads: DriverThreads, stop: threading.Event, halt: threading.Event) -> bool:
    """Whether all are open, and nobody asked to stop meanwhile."""
    for thread in threads.cameras:
        thread.start()
    for opened in threads.opened:
        while not opened.wait(_CHECK_S):
            if stop.is_set() or halt.is_set():
                return False
    return True


def _join(threads: Sequence[DriverThread]) -> DriverThread | None:
    deadline_s = time.monotonic() + _END_S
    for thread in threads:
        if thread.ident is None:
            continue
        thread.join(max(0.0, deadline_s - time.monotonic()))
        if thread.is_alive():
            return thread
    return None


def _explain(failure: BaseException) -> str:
    if isinstance(failure, EmbodimentError):
        return f"failed: {failure}"
    return f"failed with {type(failure).__name__}: {failure}"
