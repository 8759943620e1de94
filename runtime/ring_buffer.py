"""The one ring buffer between inference and control, indexed by absolute tick.

Each row holds a unified action (200, normalized), the joint command decoded from it, and where it came from. One
lock guards everything and is held for microseconds: copies of a few kilobytes, one comparison, and the fallback's next
row where one is missing.

The edges:

- *Empty start*: `start` seeds resting rows; before it, reads, commits and publications raise `RuntimeError`.
- *Reading past the end*: `read` writes the fallback's row in the missing place, says `UNDERRUN`, and that row is what
  ran from then on. A row that arrives for this tick later is late.
- *Publishing late*: a publication that would touch an executed or committed row is refused whole and changes nothing;
  the caller trims it and tries again.
- *Gaps*: a publication always joins the rows that are there; one that would leave a gap raises `ValueError`.
- *Wrapping*: rows older than `capacity` ticks are overwritten. The capacity is at least 2 T, so the executed rows
  that a running inference locked are still there when its chunk arrives, unless it is T or more ticks late; then the
  chunk is marked as not intact.
"""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.fallback import Fallback

NO_TICK: Final = np.iinfo(np.int64).min
SEED_CHUNK: Final = -1
FALLBACK_CHUNK: Final = -2


class RowStatus(enum.IntEnum):
    """What a read found."""

    POLICY = 0
    """A row of a chunk."""
    SEED = 1
    """A resting row from the start, before the first chunk."""
    UNDERRUN = 2
    """No policy row for this tick: the fallback's row."""


class Publication(enum.IntEnum):
    """What became of a publication."""

    INTACT = 0
    """Written, and what ran before its first row is exactly what the chunk was conditioned on."""
    VIOLATING = 1
    """Written, but something else ran before it."""
    REFUSED = 2
    """Not written: its first row is already executed or committed."""


@dataclass
class Row:
    """Where `RingBuffer.read` puts a row; made once, filled at every tick.

    Attributes:
        joints: Joint command, shape (n,), [rad].
        chunk: Number of the chunk it came from; negative for seed and fallback rows.
        intact: False where the row's chunk was conditioned on a prefix that is not what ran.
    """

    joints: NDArray[np.float64]
    chunk: int = SEED_CHUNK
    intact: bool = True


class Around(NamedTuple):
    """Joint rows around the ticks that were committed, copies of shape (n,), [rad].

    Attributes:
        ran: Of the tick before the observation's, t0 - 1; the oldest one kept where that is gone.
        before: Right before the chunk's own first one, of tick t0 + d - 1; with d = 0 it is `ran`.
    """

    ran: NDArray[np.float64]
    before: NDArray[np.float64]


class RingBuffer:
    """Rows by tick, for one writer of chunks and one reader of ticks.

    Args:
        capacity: Rows kept; at least 2 T.
        chunk_length: T.
        joints: Number of joints n.
        fallback: What follows where no row is.
        width: Of a unified row.
    """

    def __init__(
        self, capacity: int, chunk_length: int, joints: int, fallback: Fallback, *, width: int = UNIFIED_WIDTH
    ) -> None:
        if capacity < 2 * chunk_length:
            raise ValueError(f"capacity: expected at least 2 x chunk_length ({2 * chunk_length}), got {capacity}")
        self._capacity = capacity
        self._chunk_length = chunk_length
        self._fallback = fallback
        self._lock = threading.Lock()
        self._unified: NDArray[np.float32] = np.zeros((capacity, width), np.float32)
        self._joints: NDArray[np.float64] = np.zeros((capacity, joints))
        self._chunk: NDArray[np.int64] = np.full(capacity, SEED_CHUNK, np.int64)
        self._intact: NDArray[np.bool_] = np.ones(capacity, np.bool_)
        self._first = 0
        self._end = 0
        self._cursor = NO_TICK
        self._committed_end = NO_TICK

    def start(self, tick: int, rows: int, unified: NDArray[np.float32], joints: NDArray[np.float64]) -> None:
        """Empty the buffer and seed it with a resting row at ticks `tick` - 2 ... `tick` + `rows` - 1.

        Args:
            tick: The first tick that will be read.
            rows: Ticks granted to the first inference, at least 1 and at most T.
            unified: The resting row, shape (200,), normalized.
            joints: The same as joint command, shape (n,), [rad].
        """
        if not 1 <= rows <= self._chunk_length:
            raise ValueError(f"rows: expected 1 to {self._chunk_length}, got {rows}")
        with self._lock:
            self._first = tick - 2
            self._end = tick + rows
            self._cursor = tick - 1
            self._committed_end = tick
            slots = np.arange(self._first, self._end) % self._capacity
            self._unified[slots] = unified
            self._joints[slots] = joints
            self._chunk[slots] = SEED_CHUNK
            self._intact[slots] = True

    @property
    def width(self) -> int:
        """Width of a unified row."""
        return int(self._unified.shape[1])

    @property
    def cursor(self) -> int:
        """The tick that executes now: the last one read."""
        return self._cursor

    @property
    def end(self) -> int:
        """One past the last tick that has a row."""
        return self._end

    @property
    def committed_end(self) -> int:
        """One past the last tick whose row is committed."""
        return self._committed_end

    def read(self, tick: int, row: Row) -> RowStatus:
        """Take the row of the next tick for execution; from here on it cannot change.

        Args:
            tick: The tick to execute: the one after the last one read. Ticks in between that were never read count
                as executed too; one older than the oldest row kept is an underrun.
            row: Filled with a copy.
        """
        with self._lock:
            self._require_started()
            self._fill_to(tick + 1)
            self._cursor = max(self._cursor, tick)
            # A reader that was away for longer than the buffer reaches back ran nothing then: not a policy's row.
            forgotten = tick < self._first
            slot = max(tick, self._first) % self._capacity
            row.joints[:] = self._joints[slot]
            row.chunk = FALLBACK_CHUNK if forgotten else int(self._chunk[slot])
            row.intact = forgotten or bool(self._intact[slot])
        if row.chunk >= 0:
            return RowStatus.POLICY
        return RowStatus.SEED if row.chunk == SEED_CHUNK else RowStatus.UNDERRUN

    def commit(self, tick: int, delay: int, out: NDArray[np.float32]) -> Around:
        """Commit rows `tick` ... `tick` + `delay` - 1 and copy what the sampler must lock.

        Where the buffer has no row for a committed tick, the fallback's row is written and committed: the policy is
        told the truth, that the robot will hold.

        Args:
            tick: Tick of the observation, t0.
            delay: d, at most T.
            out: Filled with the unified rows from t0 on, shape (T, 200); rows past the end of the buffer repeat the
                last one.

        Returns:
            The joint rows right before the first committed one and right before the chunk's own first one.
        """
        with self._lock:
            self._require_started()
            if tick < self._first:
                raise ValueError(f"tick: expected at least {self._first}, the oldest row kept, got {tick}")
            self._fill_to(tick + delay)
            self._committed_end = max(self._committed_end, tick + delay)
            present = max(0, min(self._end - tick, self._chunk_length))
            slots = np.arange(tick, tick + present) % self._capacity
            out[:present] = self._unified[slots]
            out[present:] = self._unified[(self._end - 1) % self._capacity]
            ran, before = (
                self._joints[max(row, self._first) % self._capacity].copy() for row in (tick - 1, tick + delay - 1)
            )
        return Around(ran, before)

    def publish(
        self, chunk: int, tick: int, first: int, unified: NDArray[np.float32], joints: NDArray[np.float64]
    ) -> Publication:
        """Write rows `first` ... T-1 of a chunk at ticks `tick` + `first` ... .

        Args:
            chunk: The chunk's number, at least 0.
            tick: Tick of its observation, t0.
            first: First row to write: d, or more where the chunk is late.
            unified: All rows of the chunk, shape (T, 200), normalized; the rows before `first` are compared, bit by
                bit, with those that ran.
            joints: The same decoded, shape (T, n), [rad].

        Returns:
            REFUSED, with nothing changed, where the first row's tick has been executed or committed to another row.
        """
        start = tick + first
        with self._lock:
            self._require_started()
            if start <= self._cursor or start < self._committed_end:
                return Publication.REFUSED
            if start > self._end:
                raise ValueError(f"first: tick {start} would leave a gap after the last row at tick {self._end - 1}")
            intact = self._ran(tick, unified[:first])
            slots = np.arange(start, tick + len(unified)) % self._capacity
            self._unified[slots] = unified[first:]
            self._joints[slots] = joints[first:]
            self._chunk[slots] = chunk
            self._intact[slots] = intact
            self._end = tick + len(unified)
            self._forget()
        return Publication.INTACT if intact else Publication.VIOLATING

    def snapshot(self, tick: int, length: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Copies of the m <= length rows from `tick` on that are there: unified (m, 200), joints (m, n) [rad].

        Rows before the oldest one kept or past the end are left out; nothing is filled in.
        """
        with self._lock:
            ticks = np.arange(max(tick, self._first), min(tick + length, self._end)) % self._capacity
            return self._unified[ticks], self._joints[ticks]

    def _require_started(self) -> None:
        if self._cursor == NO_TICK:
            raise RuntimeError("the ring buffer was not started: call start() first")

    def _fill_to(self, end: int) -> None:
        while self._end < end:
            last, new = (self._end - 1) % self._capacity, self._end % self._capacity
            self._fallback.extend(self._unified[last], self._joints[last], self._unified[new], self._joints[new])
            self._chunk[new] = FALLBACK_CHUNK
            self._intact[new] = True
            self._end += 1
        self._forget()

    def _forget(self) -> None:
        self._first = max(self._first, self._end - self._capacity)

    def _ran(self, tick: int, rows: NDArray[np.float32]) -> bool:
        if tick < self._first:
            return False
        slots = np.arange(tick, tick + len(rows)) % self._capacity
        return bool(np.array_equal(self._unified[slots], rows))
