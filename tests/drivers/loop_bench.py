"""A control loop in virtual time: its clock, its pace and its sockets are the test's."""

from __future__ import annotations

import threading
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING

import zmq

from unichunk.embodiments.drivers import control_loop
from unichunk.embodiments.drivers.assembly import assemble
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import STATES, Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pytest

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.link.messages import State
    from unichunk.embodiments.spec import EmbodimentSpec


class LoopBench:
    """Runs a driver's control loop, a period at a time, by a script that runs in between the periods."""

    def __init__(self, spec: EmbodimentSpec, device: RobotDevice, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spec = spec
        self.now_ns = 10**15
        self.held_up_ns = 0
        """For how long the process is held up after it has received what there is."""
        self._halt = threading.Event()
        self._sequence = 0
        self._inbox: deque[bytes] = deque()
        self._states: list[bytes] = []
        monkeypatch.setattr(control_loop, "Pace", lambda _rate_hz, *, catch_up: self)
        monkeypatch.setattr(control_loop, "time", SimpleNamespace(monotonic_ns=lambda: self.now_ns))
        cameras = dict.fromkeys(spec.cameras)
        sockets = SimpleNamespace(
            command=self, state=self, control=None, cameras=cameras, command_endpoint="", state_endpoint="",
            camera_endpoints=dict.fromkeys(cameras, ""),
        )  # fmt: skip
        threads = assemble(spec, device, sockets, "boot", self._halt)
        self.loop = threads.serving[0]._loop.__self__
        self.lease = self.loop._lease
        self.counters = self.loop._counters
        device.start()

    def run(self, script: Iterator[int]) -> None:
        """Run the script between periods; it yields how many were left out. At its end the driver shuts down."""
        self._script = script
        next(script)
        self.loop.run(self._halt)

    def wait(self) -> int:
        missed = next(self._script, None)
        if missed is None:
            self._halt.set()
            missed = 0
        self.now_ns += round(1e9 * (1 + missed) / self.spec.command_hz)
        return missed

    def hello(self, session: str = "us") -> None:
        assert self.lease.claim(session, self.now_ns)

    def command(self, q: np.ndarray, session: str = "us") -> None:
        self._sequence += 1
        message = Command(session=session, sequence=self._sequence, tick=0, stamp_ns=self.now_ns, q=q)
        self._inbox.append(encode(message))

    def recv(self, _: int) -> bytes:
        if self._inbox:
            return self._inbox.popleft()
        self.now_ns += self.held_up_ns
        raise zmq.Again

    def send(self, data: bytes, _: int) -> None:
        self._states.append(data)

    @property
    def state(self) -> State:
        return STATES.decode(self._states[-1])
