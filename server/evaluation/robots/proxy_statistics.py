"""What a robot's client of a campaign's proxy writes down, for the report."""

from __future__ import annotations

from typing import Any

from unichunk.runtime.histogram import TimeHistogram


class ProxyStatistics:
    """Counters and times of one robot's requests.

    Attributes:
        requests: Sent.
        unanswered: Given up: no answer in time, or the connection was lost.
        connections: Made, the first one included.
        bytes_sent: In requests.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.unanswered = 0
        self.connections = 0
        self.bytes_sent = 0
        self._round_trip = TimeHistogram(width_us=100, bins=100_000)

    def answer(self, round_trip_s: float) -> None:
        """An answer came in time, after this long, [s]."""
        self._round_trip.add(round(round_trip_s * 1e9))

    def report(self) -> dict[str, Any]:
        """All of it; times in [ms]."""
        times = {"p50": self._round_trip.percentile(0.5), "p99": self._round_trip.percentile(0.99)}
        times["max"] = self._round_trip.maximum
        return {
            "requests": self.requests,
            "unanswered": self.unanswered,
            "connections": self.connections,
            "bytes_per_request": round(self.bytes_sent / self.requests) if self.requests else 0,
            "round_trip_ms": {name: round(value / 1e3, 3) for name, value in times.items()},
        }
