"""A robot's line without network, processes and clocks: policies are objects of the test's."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.evaluation.joint_space import JointSpace
from unichunk.embodiments.catalogue import load_spec
from unichunk.server.evaluation.blinding.drive import Drive
from unichunk.server.evaluation.blinding.hidden_policy import Predicted
from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
from unichunk.server.evaluation.blinding.robot_line import RobotLine
from unichunk.server.evaluation.blinding.seats import Seats
from unichunk.server.evaluation.planning.campaign import Blinding
from unichunk.server.serving.websocket import Socket
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.producer import Commitment
    from unichunk.server.evaluation.blinding.driven_trial import DrivenTrial
    from unichunk.server.evaluation.blinding.hidden_policy import Seen

SPEC = load_spec("so101")
N = len(SPEC.joints)
H = 4
PATIENCE_S = 20.0


class FakePolicy(JointSpace):
    """Moves all joints by `slope` a row, unless `behave` makes something else of its chunk; waits for `gate`."""

    expected_s = 0.01

    def __init__(self, slope: float, length: int = 24) -> None:
        super().__init__(length, N)
        self.slope = slope
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False
        self.asked: list[Seen] = []
        self.behave: Callable[[Predicted], Predicted] = lambda chunk: chunk

    def predict(self, seen: Seen, commitment: Commitment) -> Predicted:
        self.asked.append(seen)
        assert self.gate.wait(PATIENCE_S)
        d = commitment.delay
        joints = commitment.previous_chunk.astype(np.float64)
        joints[d:] = joints[d - 1] + self.slope * np.arange(1, self.chunk_length - d + 1)[:, None]
        unified = joints.astype(np.float32)
        unified[:d] = commitment.previous_chunk[:d]
        return self.behave(Predicted(unified, joints))

    def close(self) -> None:
        self.closed = True


class FakeHost:
    """Gives out one policy after the other."""

    def __init__(self, number: int, make: Callable[[], FakePolicy]) -> None:
        self.number, self.name, self._make = number, f"secret {number}", make
        self.made: list[FakePolicy] = []
        self.ended = 0

    def connect(self, first: Seen, seed: int) -> FakePolicy:
        assert first.observation.frames
        self.made.append(self._make())
        return self.made[-1]

    def end_process(self) -> None:
        self.ended += 1


class BlindedRobot:
    """A line, its policies, and a robot that asks. In an event loop; `now` is the proxy's clock."""

    def __init__(self, *, options: ProxyOptions | None = None, slopes: tuple[float, ...] = (0.01, -0.01), **plan: Any):
        self.now = 100.0
        self.events: list[tuple[str, str]] = []
        self.ended: list[DrivenTrial] = []
        self.troubles: list[str] = []
        self.recorder: Any = None
        self.hosts = [FakeHost(number, lambda slope=slope: FakePolicy(slope)) for number, slope in enumerate(slopes)]
        blinding = Blinding(**({"rows": H, "equalized_ticks": H, "answer_ms": 0.0} | plan))
        options = options or ProxyOptions()
        self.seats = Seats(self.hosts, SPEC, blinding, self.troubles.append)
        self.drive = Drive(
            SPEC,
            blinding,
            options,
            self.seats,
            record=lambda trial: self.recorder,
            tell=lambda trial, code: self.events.append((trial, code)),
            ended=self.ended.append,
            clock=lambda: self.now,
        )
        self.line = RobotLine("arm", SPEC, blinding, options, self.drive, self.seats, lambda: self.now)
        self.lengths: set[int] = set()
        self.joints: NDArray[np.float32] = SPEC.rest.astype(np.float32)
        self.tick = 0
        self.connect()

    def connect(self) -> None:
        """Another connection; the one before is left as it is."""
        self._to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.serving = asyncio.ensure_future(self.line.serve(Socket(self._to.get, self._from.put)))

    async def said(self) -> dict[str, Any]:
        """The next event of the connection."""
        return await asyncio.wait_for(self._from.get(), PATIENCE_S)

    async def send(self, **fields: Any) -> None:
        """A request, not waited for."""
        image = np.zeros((12, 16, 3), np.uint8)
        message = {"state": self.joints, "image.third_person": image, "tick": self.tick, **fields}
        await self._to.put({"type": "websocket.receive", "bytes": pack(message)})

    async def raw(self, data: bytes | None) -> None:
        """Any bytes; None: hang up."""
        event = {"type": "websocket.disconnect"} if data is None else {"type": "websocket.receive", "bytes": data}
        await self._to.put(event)

    async def rows(self) -> NDArray[np.float32]:
        """The answer to a request; the robot goes there."""
        data = (await self.said())["bytes"]
        self.lengths.add(len(data))
        answer = unpack(data)
        assert list(answer) == ["actions"]
        rows: NDArray[np.float32] = answer["actions"]
        assert rows.shape == (H, N)
        self.joints = rows[-1]
        self.tick += H
        return rows

    async def ask(self, **fields: Any) -> NDArray[np.float32]:
        """A request and its answer, with a moment for what happens besides."""
        await self.send(**fields)
        rows = await self.rows()
        await asyncio.sleep(0.002)
        return rows

    async def ready(self, **fields: Any) -> None:
        """Take the greeting, and ask until all policies are warm."""
        await self.said()
        while not self.line.view().connected:
            await self.ask(**fields)

    async def until(self, happened: Callable[[], object]) -> None:
        """Ask until something has happened."""
        for _ in range(2000):
            if happened():
                return
            await self.ask()
        raise AssertionError("it never happened")

    async def end(self) -> None:
        """Hang up."""
        for host in self.hosts:
            for policy in host.made:
                policy.gate.set()
        self.serving.cancel()
        await asyncio.gather(self.serving, return_exceptions=True)
        self.seats.close()
