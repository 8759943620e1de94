"""What a remote policy's client writes down, for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.runtime.histogram import TimeHistogram

if TYPE_CHECKING:
    from unichunk.server.wire.lean import Timing


class RemoteStatistics:
    """Counters and times of one policy's requests.

    Attributes:
        requests: Sent, each once.
        answers: Chunks that came in time.
        late: Answers to requests that had been given up, dropped.
        unanswered: Requests given up.
        refused: By reason.
        connections: Made, the first one included.
        resumed: Of these, where the server still knew the session.
        resent: Requests that were repeated whole because the server lacked what they built on.
        bytes_sent: In requests.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.answers = 0
        self.late = 0
        self.unanswered = 0
        self.refused: dict[str, int] = {}
        self.connections = 0
        self.resumed = 0
        self.resent = 0
        self.bytes_sent = 0
        self._round_trip = TimeHistogram(width_us=100, bins=100_000)
        self._network = TimeHistogram(width_us=100, bins=100_000)
        self._queue = TimeHistogram(width_us=100, bins=100_000)
        self._infer = TimeHistogram(width_us=100, bins=100_000)

    def answer(self, round_trip_s: float, timing: Timing) -> None:
        """A chunk came in time."""
        self.answers += 1
        self._round_trip.add(round(round_trip_s * 1e9))
        self._network.add(round(round_trip_s * 1e9 - timing.total_ms * 1e6))
        self._queue.add(round(timing.queue_ms * 1e6))
        self._infer.add(round(timing.infer_ms * 1e6))

    def refusal(self, kind: str) -> None:
        """The server gave no chunk."""
        self.refused[kind] = self.refused.get(kind, 0) + 1

    def report(self) -> dict[str, Any]:
        """All of it; times in [ms]."""
        return {
            "requests": self.requests,
            "answers": self.answers,
            "late_answers_dropped": self.late,
            "unanswered": self.unanswered,
            "refused": dict(self.refused),
            "connections": self.connections,
            "sessions_resumed": self.resumed,
            "resent_whole": self.resent,
            "bytes_per_request": round(self.bytes_sent / self.requests) if self.requests else 0,
            "round_trip_ms": _milliseconds(self._round_trip),
            "network_ms": _milliseconds(self._network),
            "server_queue_ms": _milliseconds(self._queue),
            "server_infer_ms": _milliseconds(self._infer),
        }


def _milliseconds(histogram: TimeHistogram) -> dict[str, float]:
    values = {"p50": histogram.percentile(0.5), "p99": histogram.percentile(0.99), "max": histogram.maximum}
    return {name: round(value / 1e3, 3) for name, value in values.items()}
