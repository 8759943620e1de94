"""What the inference thread writes down about its chunks."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from unichunk.runtime.histogram import TimeHistogram
from unichunk.runtime.refinement_telemetry import RefinementTelemetry

if TYPE_CHECKING:
    from unichunk.runtime.producer import ChunkRecord


class InferenceTelemetry:
    """Counters, a latency histogram and the last chunks."""

    def __init__(self) -> None:
        self.latency = TimeHistogram(width_us=10)
        self.refinement = RefinementTelemetry()
        self.delays: Counter[int] = Counter()
        """Chunks by their delay d."""
        self.late: deque[ChunkRecord] = deque(maxlen=64)
        """The last chunks that lost rows of their own."""
        self.chunks = 0
        self.late_chunks = 0
        self.lost_chunks = 0
        """Chunks of which every row came too late."""
        self.dropped_rows = 0
        self.saturated = 0
        self.rejected = 0
        self.rejected_in_a_row = 0
        self.last_rejection = ""
        self.missed = 0
        """Inferences without an answer: the policy is somewhere else, and was late or could not be reached."""
        self.missed_in_a_row = 0
        self.last_miss = ""
        self.longest_outage_ns = 0
        """Longest time from an inference that was not answered until the next chunk could be read, [ns]."""
        self._outage_since_ns = 0
        self.delay = 0
        """d of the newest chunk."""
        self.largest_seam = 0.0
        """Largest shift blended away at a late seam, [rad]."""

    @property
    def asked(self) -> int:
        """Chunks that the policy was asked for: stitched, dropped, or never answered."""
        return self.chunks + self.rejected + self.missed

    def chunk(self, record: ChunkRecord) -> None:
        """Write down a chunk that was stitched."""
        self.chunks += 1
        self.rejected_in_a_row = 0
        if self.missed_in_a_row:
            self._outage(record.commitment.stamp_ns + record.latency_ns)
            self.missed_in_a_row = 0
        self.delay = record.commitment.delay
        self.delays[self.delay] += 1
        self.latency.add(record.latency_ns)
        self.late_chunks += record.dropped > 0
        self.dropped_rows += record.dropped
        self.saturated += record.commitment.saturated
        self.largest_seam = max(self.largest_seam, record.seam)
        self.lost_chunks += record.lost
        if record.dropped:
            self.late.append(record)

    def rejection(self, reason: str) -> None:
        """Write down a chunk that was dropped before anything of it was executed."""
        self.rejected += 1
        self.rejected_in_a_row += 1
        self.last_rejection = reason

    def miss(self, reason: str, begun_ns: int, now_ns: int) -> None:
        """Write down an inference that was not answered.

        Args:
            reason: Why, one line.
            begun_ns: When it began, [ns].
            now_ns: Now, [ns].
        """
        if not self.missed_in_a_row:
            self._outage_since_ns = begun_ns
        self.missed += 1
        self.missed_in_a_row += 1
        self.last_miss = reason
        self._outage(now_ns)

    def _outage(self, now_ns: int) -> None:
        self.longest_outage_ns = max(self.longest_outage_ns, now_ns - self._outage_since_ns)
