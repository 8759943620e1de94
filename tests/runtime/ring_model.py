"""What the ring buffer must hold, written down a second time: a dictionary from tick to row and a list of commitments.

It watches the calls that the runtime makes, works out the answer by itself, and fails where the two differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.runtime.fake_policy import CHUNK, ROW, Joints, Unified
from unichunk.runtime.ring_buffer import FALLBACK_CHUNK, SEED_CHUNK, Around, Publication, RowStatus

Continue = Callable[[Unified, Joints], tuple[Unified, Joints]]


@dataclass(frozen=True)
class ModelRow:
    """A row, where it came from, and whether that chunk was conditioned on what ran."""

    unified: Unified
    joints: Joints
    chunk: int
    intact: bool = True

    def same(self, other: ModelRow) -> bool:
        return (
            self.chunk == other.chunk
            and same_bits(self.unified, other.unified)
            and same_bits(self.joints, other.joints)
        )


def same_bits(one: Unified | Joints, other: Unified | Joints) -> bool:
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


@dataclass(frozen=True)
class Promise:
    """A commitment: the rows of ticks `tick` ... `tick` + `delay` - 1 as they were then."""

    tick: int
    delay: int


@dataclass
class Tally:
    """What happened in a run; tests look here to see that they tested something."""

    reads: int = 0
    policy_rows: int = 0
    underruns: int = 0
    violations: int = 0
    chunks: int = 0
    late: int = 0
    lost: int = 0
    broken: int = 0
    retries: int = 0
    committed_rows: int = 0
    covered_runs: int = 0

    def __iadd__(self, other: Tally) -> Tally:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


class RingModel:
    """The rows by tick."""

    def __init__(self, capacity: int, chunk_length: int, fallback: Continue) -> None:
        self.capacity = capacity
        self.chunk_length = chunk_length
        self.fallback = fallback
        self.rows: dict[int, ModelRow] = {}
        self.committed: dict[int, ModelRow] = {}
        self.executed: dict[int, ModelRow] = {}
        self.tally = Tally()
        self.cursor = self.end = self.oldest = self.committed_end = 0
        self.promise = Promise(0, 0)

    def start(self, tick: int, rows: int, unified: Unified, joints: Joints) -> None:
        self.rows = {t: ModelRow(unified, joints, SEED_CHUNK) for t in range(tick - 2, tick + rows)}
        self.cursor, self.end, self.oldest = tick - 1, tick + rows, tick - 2
        self.committed_end = tick

    def commit(self, tick: int, delay: int, told: Unified, around: Around) -> None:
        self._fill_to(tick + delay)
        for at, row in zip((tick, tick + delay), around, strict=True):
            expected = self.rows[max(at - 1, self.oldest)].joints
            assert same_bits(row, expected), f"the row before tick {at} is another one"
        self.promise = Promise(tick, delay)
        self.committed_end = max(self.committed_end, tick + delay)
        for t in range(tick, tick + delay):
            # What was promised before and what runs now must not have changed either.
            assert self.committed.setdefault(t, self.rows[t]).same(self.rows[t]), (
                f"the committed row of tick {t} changed"
            )
            self.tally.committed_rows += 1
        for i in range(self.chunk_length):
            expected = self.rows[min(tick + i, self.end - 1)].unified
            assert same_bits(told[i], expected), f"the policy was told row {i} differently from what runs at {tick + i}"

    def read(self, tick: int, status: RowStatus, joints: Joints, unified: Unified, chunk: int, intact: bool) -> None:
        assert tick == self.cursor + 1, f"tick {tick} was executed after tick {self.cursor}"
        self._fill_to(tick + 1)
        expected = self.rows[tick]
        read = ModelRow(unified.copy(), joints.copy(), chunk, intact)
        assert read.same(expected), f"tick {tick}: expected row of chunk {expected.chunk}, read one of chunk {chunk}"
        assert intact is expected.intact, f"tick {tick}: intact is {intact}, expected {expected.intact}"
        if tick in self.committed:
            assert read.same(self.committed[tick]), f"the committed row of tick {tick} changed before it ran"
        self.cursor = tick
        self.executed[tick] = read
        self._count(status, chunk, intact)

    def _count(self, status: RowStatus, chunk: int, intact: bool) -> None:
        expected = {SEED_CHUNK: RowStatus.SEED, FALLBACK_CHUNK: RowStatus.UNDERRUN}.get(chunk, RowStatus.POLICY)
        assert status is expected, f"status {status!r} for a row of chunk {chunk}"
        self.tally.reads += 1
        self.tally.policy_rows += expected is RowStatus.POLICY
        self.tally.underruns += expected is RowStatus.UNDERRUN
        self.tally.violations += not intact

    def publish(self, chunk: int, tick: int, first: int, outcome: Publication, rows: Unified, joints: Joints) -> None:
        """A publication was tried; what is written must be just what the protocol allows."""
        start = tick + first
        assert tick == self.promise.tick, "the chunk was written at another tick than its observation's"
        if outcome is Publication.REFUSED:
            assert start <= self.cursor or start < self.committed_end, f"tick {start} was free and yet refused"
            self.tally.retries += 1
            return
        assert start > self.cursor, f"a chunk was written over tick {start}, executed at {self.cursor}"
        assert start >= self.committed_end, f"a chunk was written over the committed tick {start}"
        assert first == max(self.promise.delay, self.cursor + 1 - tick), f"written from row {first} on"
        intact = tick >= self.oldest and all(same_bits(rows[i], self.rows[tick + i].unified) for i in range(first))
        assert outcome is (Publication.INTACT if intact else Publication.VIOLATING), f"{outcome!r}, intact: {intact}"
        for t in [t for t in self.rows if t >= start]:
            del self.rows[t]
        for i in range(first, self.chunk_length):
            self.rows[tick + i] = ModelRow(rows[i].copy(), joints[i].copy(), chunk, intact)
        self._extend(tick + self.chunk_length)

    def _fill_to(self, end: int) -> None:
        while self.end < end:
            last = self.rows[self.end - 1]
            self.rows[self.end] = ModelRow(*self.fallback(last.unified, last.joints), FALLBACK_CHUNK)
            self._extend(self.end + 1)

    def _extend(self, end: int) -> None:
        self.end = end
        self.oldest = max(self.oldest, end - self.capacity)


def labels(unified: Unified) -> tuple[int, int]:
    """Which chunk and which row of it a unified row says it is."""
    return int(unified[CHUNK]), int(unified[ROW])
