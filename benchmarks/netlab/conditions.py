"""What a network path does to packets."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

NANOSECONDS: Final = 1_000_000_000
FASTEST_BIT_S: Final = 1e9
"""A gigabit a second, as a cable. A path always has a rate, because packets then keep their order; see `Pipe`."""

LONGEST_S: Final = 60.0
MOST_WAITING: Final = 10_000


class BadConditions(ValueError):
    """Conditions that make no sense; one line says which."""


@dataclass(frozen=True)
class Conditions:
    """What one direction of a path does to packets.

    Attributes:
        delay_s: How long a packet travels, [s].
        jitter_s: By how much more or less, uniformly, [s].
        loss: Share of the packets that are lost, each for itself.
        rate_bit_s: [bit/s].
        limit: Packets on their way at most; what comes beyond is lost.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    rate_bit_s: float = FASTEST_BIT_S
    limit: int = MOST_WAITING

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name, value, lowest, highest in (
            ("delay", self.delay_s, 0.0, LONGEST_S),
            ("jitter", self.jitter_s, 0.0, self.delay_s),
            ("loss", self.loss, 0.0, 1.0),
            ("rate", self.rate_bit_s, 1e3, 1e12),
            ("limit", self.limit, 1, 10**6),
        ):
            if not (math.isfinite(value) and lowest <= value <= highest):
                raise BadConditions(f"{name}: expected {lowest:g} to {highest:g}, got {value:g}")

    @classmethod
    def of_round_trip(cls, delay_s: float, jitter_s: float = 0.0, loss: float = 0.0) -> Conditions:
        """Each direction's share of a round trip: half of delay and jitter; a packet is lost equally often both ways.

        Args:
            delay_s: Of the round trip, [s].
            jitter_s: By how much the round trip takes more or less at most, [s].
            loss: Share of the packets lost in each direction.
        """
        return cls(delay_s / 2, jitter_s / 2, loss)

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def transmission_ns(self, size: int) -> int:
        """How long `size` bytes occupy the path, [ns]."""
        return round(size * 8 * NANOSECONDS / self.rate_bit_s)


@dataclass(frozen=True)
class Outage:
    """A time in which nothing passes.

    Attributes:
        begin_ns: `time.monotonic_ns()`, [ns].
        end_ns: When packets pass again, [ns].
    """

    begin_ns: int
    end_ns: int

    def covers(self, now_ns: int) -> bool:
        """Whether a packet that comes now is lost."""
        return self.begin_ns <= now_ns < self.end_ns
