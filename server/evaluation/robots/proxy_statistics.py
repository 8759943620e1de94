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
        prefixes_changed: Answers whose first rows were not what was committed.
        largest_change: By how much, [rad].
    """

    def __init__(self) -> None:
        self.requests = 0
        self.unanswered = 0
        self.connections = 0
        self.bytes_sent = 0
        self.prefixes_changed = 0
        self.largest_change = 0.0
        self._round_trip = TimeHistogram(width_us=100, bins=100_000)

    def answer(self, round_trip_s: float) -> None:
        """An answer came in time, after this long, [s]."""
        self._round_trip.add(round(round_trip_s * 1e9))

    def prefix(self, change: float) -> None:
        """An answer's first rows were so far from what was committed, [rad]; 0 where they were the same."""
        self.prefixes_changed += change > 0.0
        self.largest_change = max(self.largest_change, change)

    def report(self) -> dict[str, Any]:
        """All of it; times in [ms]."""
        times = {"p50": self._round_trip.percentile(0.5), "p99": self._round_trip.percentile(0.99)}
        times["max"] = self._round_trip.maximum
        return {
            "requests": self.requests,
            "unanswered": self.unanswered,
            "connections": self.connections,
            "bytes_per_request": round(self.bytes_sent / self.requests) if self.requests else 0,
            "prefixes_changed": self.prefixes_changed,
            "largest_prefix_change_rad": self.largest_change,
            "round_trip_ms": {name: round(value / 1e3, 3) for name, value in times.items()},
        }
