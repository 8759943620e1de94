"""Many episodes through the runtime's ring buffer and producer, in virtual time.

Episodes that share their delays share a ring buffer: a row is all their actions side by side. Where the producer
mends a late seam, which looks at all joints of a robot at once, every episode has a ring buffer of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.producer import Producer
from unichunk.runtime.ring_buffer import RingBuffer, Row, RowStatus
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.network import Array
    from unichunk.runtime.delay import DelayEstimator
    from unichunk.runtime.producer import ChunkRecord, Commitment

ACTION_STEP: Final = 2.0
"""Largest change of a force from row to row, all of its range: the producer mends only what cannot be executed."""
CHUNKS_KEPT: Final = 4
"""Capacity of a ring buffer, in chunks, as in the runtime."""


class ZeroFallback:
    """No force where no row is."""

    def extend(
        self,
        unified: NDArray[np.float32],  # noqa: ARG002  part of the protocol
        joints: NDArray[np.float64],  # noqa: ARG002
        next_unified: NDArray[np.float32],
        next_joints: NDArray[np.float64],
    ) -> None:
        """A row of zeros."""
        next_unified[:] = 0.0
        next_joints[:] = 0.0


@dataclass
class Lane:
    """A ring buffer with its producer.

    Attributes:
        ring: Rows of some episodes.
        producer: Writes them.
        row: Where rows are read to.
    """

    ring: RingBuffer
    producer: Producer
    row: Row


class Lanes:
    """The ring buffers of B episodes.

    Args:
        episodes: B.
        actions: Width of an action.
        chunk_length: T.
        action_hz: Ticks a second.
        estimator: Chooses d; shared by all.
        apart: One ring buffer for each episode instead of one for all.
    """

    def __init__(
        self, episodes: int, actions: int, chunk_length: int, action_hz: int, estimator: DelayEstimator, *, apart: bool
    ) -> None:
        self._shape = (episodes, chunk_length, actions)
        self._timebase = Timebase(0, action_hz, action_hz)
        width = actions if apart else episodes * actions
        self._lanes = [self._lane(width, chunk_length, estimator) for _ in range(episodes if apart else 1)]
        self._executed: NDArray[np.float64] = np.zeros((len(self._lanes), width))

    def _lane(self, width: int, chunk_length: int, estimator: DelayEstimator) -> Lane:
        ring = RingBuffer(CHUNKS_KEPT * chunk_length, chunk_length, width, ZeroFallback(), width=width)
        ring.start(0, 1, np.zeros(width, np.float32), np.zeros(width))
        return Lane(ring, self._producer(ring, estimator, chunk_length), Row(np.zeros(width)))

    def _producer(self, ring: RingBuffer, estimator: DelayEstimator, chunk_length: int) -> Producer:
        return Producer(
            ring,
            estimator,
            self._timebase,
            encode=_encode,
            joint_step=np.full(ring.width, ACTION_STEP),
            minimum_postfix=1,
            trained_delay=chunk_length,
            chunk_length=chunk_length,
            number=1,
        )

    def begin(self, tick: int) -> list[Commitment]:
        """Commit rows for an inference on the observation of `tick`, before that tick is executed."""
        now_ns = self._timebase.start_of_step(tick)
        return [lane.producer.begin(now_ns, now_ns) for lane in self._lanes]

    def overlap(self, tick: int) -> int:
        """Rows of the running plan from `tick` on, at most T."""
        return min(self._lanes[0].ring.end - tick, self._shape[1])

    def running(self, commitments: list[Commitment]) -> Array:
        """The running plan from the commitments' tick on, shape (B, T, actions)."""
        rows = np.stack([commitment.previous_chunk for commitment in commitments])
        return self._by_episode(rows)

    def finish(self, commitments: list[Commitment], chunks: Array, tick: int) -> list[ChunkRecord]:
        """Stitch chunks (B, T, actions) that arrive right before `tick` is executed."""
        now_ns = self._timebase.start_of_step(tick)
        return [
            lane.producer.finish(commitment, rows, rows.astype(np.float64), lambda: now_ns)
            for lane, commitment, rows in zip(self._lanes, commitments, self._by_lane(chunks), strict=True)
        ]

    def publish(self, number: int, tick: int, chunks: Array) -> None:
        """Write rows (B, m, actions) at `tick` and after, where the buffers ran dry."""
        for lane, rows in zip(self._lanes, self._by_lane(chunks), strict=True):
            lane.ring.publish(number, tick, 0, rows, rows.astype(np.float64))

    def read(self, tick: int) -> tuple[NDArray[np.float64], NDArray[np.int64], bool]:
        """Execute a tick: actions (B, actions), each lane's chunk (lanes,), and whether rows were missing."""
        missing = False
        for lane, executed in zip(self._lanes, self._executed, strict=True):
            missing = lane.ring.read(tick, lane.row) is RowStatus.UNDERRUN
            executed[:] = lane.row.joints
        chunk = np.array([lane.row.chunk for lane in self._lanes])
        return self._executed.reshape(self._shape[0], self._shape[2]).copy(), chunk, missing

    def _by_episode(self, rows: Array) -> Array:
        """Rows (lanes, T, width) as chunks (B, T, actions)."""
        lanes, length, _ = rows.shape
        chunks = rows.reshape(lanes, length, -1, self._shape[2]).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(chunks).reshape(self._shape[0], length, self._shape[2])

    def _by_lane(self, chunks: Array) -> Array:
        """Chunks (B, m, actions) as rows (lanes, m, width)."""
        lanes, length = len(self._lanes), chunks.shape[1]
        rows = chunks.reshape(lanes, -1, length, self._shape[2]).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(rows).reshape(lanes, length, -1)


def _encode(joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
    """Actions are their own encoding."""
    del before
    return joints.astype(np.float32)
