"""A network and a clock that exist only in a test: everything that can happen to a message, in no time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from unichunk.server.remote.connection import CONNECT_S, ConnectionLost, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.remote.model_server import ModelServer


class VirtualClock:
    """Time passes when somebody waits."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.time += seconds


class VirtualNetwork:
    """Dials one server; what happens to each message is asked of `fate`.

    Args:
        server: Who answers.
        clock: Time.
        fate: For each message on its way back: after how many seconds its copies arrive; none: it is lost.

    Attributes:
        down_until: No message passes before, and nobody connects.
        broken: Connections that were there before are dead, in silence.
    """

    def __init__(self, server: ModelServer, clock: VirtualClock, fate: Callable[[], list[float]]) -> None:
        self.server = server
        self.clock = clock
        self.fate = fate
        self.down_until = 0.0
        self.dead: set[int] = set()
        self.reset: set[int] = set()
        self.dialed = 0

    @property
    def down(self) -> bool:
        return self.clock.now() < self.down_until

    def dial(self) -> VirtualConnection:
        self.dialed += 1
        if self.down:
            self.clock.sleep(CONNECT_S)
            raise Unreachable("no answer in time")
        self.clock.sleep(0.01)
        return VirtualConnection(self, self.dialed)

    def close(self) -> None:
        """Nothing to do."""


class VirtualConnection:
    """One connection; messages back are ordered by when they arrive, not by when they were sent."""

    def __init__(self, network: VirtualNetwork, number: int) -> None:
        self._network = network
        self._number = number
        self._coming: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._closed = False

    def send(self, message: bytes, deadline: float) -> None:
        self._check()
        network = self._network
        if network.down or self._number in network.dead:
            network.dead.add(self._number)
            return
        for _ in network.fate()[:1]:  # the way there: lost, or not
            for answer in network.server.message(self._number, message):
                for delay in network.fate():
                    self._count += 1
                    heapq.heappush(self._coming, (network.clock.now() + delay, self._count, answer))

    def receive(self, deadline: float) -> bytes | None:
        self._check()
        clock = self._network.clock
        if self._coming and self._coming[0][0] <= max(deadline, clock.now()):
            arrival, _, message = heapq.heappop(self._coming)
            clock.time = max(clock.time, arrival)
            if self._network.down or self._number in self._network.dead:
                return self.receive(deadline)
            return message
        clock.time = max(clock.time, deadline)
        self._check()
        return None

    def close(self) -> None:
        assert not self._closed
        self._closed = True

    def _check(self) -> None:
        assert not self._closed
        if self._number in self._network.reset:
            raise ConnectionLost("reset by the other side")
