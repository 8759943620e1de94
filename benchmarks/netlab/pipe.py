"""One direction of a path as a schedule: which packet is handed on when. No clock, no socket: time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from unichunk.benchmarks.netlab.conditions import Conditions, Outage

NOTHING: Final = -1


@dataclass
class Counters:
    """What became of packets.

    Attributes:
        taken: Packets that came.
        handed_on: Packets that left.
        lost: By chance.
        cut_off: In an outage.
        overflowed: Because too many were on their way.
    """

    taken: int = 0
    handed_on: int = 0
    lost: int = 0
    cut_off: int = 0
    overflowed: int = 0


class Pipe:
    """Packets on their way in one direction, in order, as `tc netem` with a rate keeps them.

    A packet that comes at time t leaves when its delay is over and the one before it has left, and then takes as long
    as its bytes take at the rate: due = max(t + delay, due of the one before) + bytes / rate. Jitter so makes packets
    wait for each other, as in a router's queue, and never reorders them. What is on its way when an outage begins
    arrives.

    Args:
        conditions: What happens to packets from now on; may be replaced at any time.
        random: Chance.
    """

    def __init__(self, conditions: Conditions, random: Random) -> None:
        self.conditions = conditions
        self.outage: Outage | None = None
        """In which packets are lost; the newest one counts."""
        self.counters = Counters()
        self._random = random
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._last_ns = 0

    @property
    def next_ns(self) -> int:
        """When the next packet is due, [ns]; `NOTHING` where none is on its way."""
        return self._waiting[0][0] if self._waiting else NOTHING

    def take(self, now_ns: int, packet: bytes) -> None:
        """A packet comes.

        Args:
            now_ns: When, [ns]; never earlier than the one before.
            packet: Its bytes.
        """
        self.counters.taken += 1
        conditions = self.conditions
        if self.outage is not None and self.outage.covers(now_ns):
            self.counters.cut_off += 1
        # `random()` is below 1, so all are lost where the share is 1, and none where it is 0.
        elif conditions.loss and self._random.random() < conditions.loss:
            self.counters.lost += 1
        elif len(self._waiting) >= conditions.limit:
            self.counters.overflowed += 1
        else:
            jitter_s = self._random.uniform(-conditions.jitter_s, conditions.jitter_s) if conditions.jitter_s else 0.0
            arrived_ns = now_ns + round((conditions.delay_s + jitter_s) * 1e9)
            self._last_ns = max(arrived_ns, self._last_ns) + conditions.transmission_ns(len(packet))
            self._waiting.append((self._last_ns, packet))

    def hand_on(self, now_ns: int) -> tuple[int, bytes] | None:
        """The next packet that is due, and since when, [ns]; None where none is yet.

        Args:
            now_ns: Now, [ns].
        """
        if not self._waiting or self._waiting[0][0] > now_ns:
            return None
        self.counters.handed_on += 1
        return self._waiting.popleft()
