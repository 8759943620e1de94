"""The driver's clock as seen from here: an offset between two monotonic clocks, from round trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class RoundTrip:
    """One ping: when it left and came back on our clock, and the driver's clock in between, all [ns]."""

    sent_ns: int
    driver_ns: int
    received_ns: int

    @property
    def duration_ns(self) -> int:
        """How long it took, [ns]."""
        return self.received_ns - self.sent_ns


@dataclass(frozen=True)
class Clock:
    """Converts stamps between this host and the driver.

    Attributes:
        offset_ns: The driver's clock minus ours, [ns]; exactly 0 where the measurement cannot tell them apart, which
            is the case when both run on one host.
        round_trip_ns: The round trip it was measured with, [ns]; the offset is off by at most half of it.
    """

    offset_ns: int
    round_trip_ns: int

    def to_local(self, stamp_ns: int) -> int:
        """A driver's stamp on our clock, [ns]."""
        return stamp_ns - self.offset_ns

    def to_driver(self, stamp_ns: int) -> int:
        """Our stamp on the driver's clock, [ns]."""
        return stamp_ns + self.offset_ns


def estimate_clock(round_trips: Iterable[RoundTrip]) -> Clock:
    """The offset as the shortest of some round trips tells it: least queueing, least error.

    Args:
        round_trips: At least one.
    """
    best = min(round_trips, key=lambda trip: trip.duration_ns)
    offset = best.driver_ns - (best.sent_ns + best.received_ns) // 2
    if abs(offset) <= best.duration_ns // 2 + 1:
        offset = 0
    return Clock(offset, best.duration_ns)
