"""A campaign's proxy that exists only in a test: its rows are a function of the tick, and never change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.server.remote.connection import ConnectionLost, Unreachable
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from tests.remote.virtual import VirtualClock
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.remote.clock import Clock

LATENCY_S = 0.02


class FakeProxy:
    """Answers whoever connects; a `Dialer`.

    Args:
        spec: The robot.
        clock: Virtual or the machine's: an answer is there when it says so.
        rows: H.

    Attributes:
        fates: How long the next answers take, [s]; None: the connection is lost instead. Then `LATENCY_S` each.
        seen: Every request.
        dialed: How often somebody connected.
        unreachable: Whether nobody can.
        answer: Makes an answer's bytes of a request; replaced by tests that want something bad.
    """

    def __init__(self, spec: EmbodimentSpec, clock: VirtualClock | Clock, rows: int = 8) -> None:
        self.spec, self.clock, self.rows = spec, clock, rows
        self.fates: Iterator[float | None] = iter(())
        self.seen: list[dict[str, Any]] = []
        self.dialed = 0
        self.unreachable = False
        self.refusal: Exception | None = None
        self.greeting: dict[str, Any] = {
            "robot": spec.name,
            "action_hz": spec.action_hz,
            "rows": rows,
            "joints": list(spec.joint_names),
            "cameras": list(spec.cameras),
        }
        self.answer: Callable[[dict[str, Any]], bytes] = self.rows_answer

    def row(self, tick: int) -> NDArray[np.float32]:
        """What the robot is told for a tick: slow waves around its rest pose."""
        phases = np.arange(len(self.spec.joint_names))
        return np.asarray(self.spec.rest + 0.1 * np.sin(0.1 * tick + phases), np.float32)

    def rows_answer(self, fields: dict[str, Any]) -> bytes:
        ticks = range(fields["tick"], fields["tick"] + self.rows)
        return pack({"actions": np.stack([self.row(tick) for tick in ticks])})

    def dial(self) -> FakeConnection:
        self.dialed += 1
        if self.refusal is not None:
            raise self.refusal
        if self.unreachable:
            self.clock.sleep(0.01)
            raise Unreachable("no answer in time")
        return FakeConnection(self)

    def close(self) -> None:
        """Nothing is shared."""


class FakeConnection:
    """One connection: answers come in the order of the requests, each not before the one before."""

    def __init__(self, proxy: FakeProxy) -> None:
        self._proxy = proxy
        self._coming: list[tuple[float, bytes | None]] = [(0.0, pack(proxy.greeting))]
        self.closed = False

    def send(self, message: bytes, deadline: float) -> None:
        assert not self.closed
        fields = unpack(message)
        self._proxy.seen.append(fields)
        fate = next(self._proxy.fates, LATENCY_S)
        if fate is None:
            self._coming.append((0.0, None))
            return
        there = self._proxy.clock.now() + fate
        if self._coming:
            there = max(there, self._coming[-1][0])
        self._coming.append((there, self._proxy.answer(fields)))

    def receive(self, deadline: float) -> bytes | None:
        assert not self.closed
        clock = self._proxy.clock
        if not self._coming or self._coming[0][0] > deadline:
            clock.sleep(max(0.0, deadline - clock.now()))
            return None
        there, message = self._coming.pop(0)
        clock.sleep(max(0.0, there - clock.now()))
        if message is None:
            raise ConnectionLost("reset by peer")
        return message

    def close(self) -> None:
        self.closed = True
