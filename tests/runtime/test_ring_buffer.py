"""The ring buffer's edges, as its documentation lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.runtime.ring_model import RingModel
from unichunk.runtime.fallback import HoldFallback, RampFallback
from unichunk.runtime.ring_buffer import FALLBACK_CHUNK, SEED_CHUNK, Publication, RingBuffer, Row, RowStatus
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from tests.runtime.fake_policy import Joints, Unified

T, N = 8, 2


def chunk(number: int) -> tuple[Unified, Joints]:
    """Rows that are all different: 1000 x number + row."""
    values = 1000.0 * number + np.arange(T)
    unified = np.repeat(values[:, None], UNIFIED_WIDTH, axis=1).astype(np.float32)
    return unified, np.repeat(values[:, None], N, axis=1)


def started(capacity: int = 2 * T, tick: int = 0, rows: int = 3) -> RingBuffer:
    ring = RingBuffer(capacity, T, N, HoldFallback())
    ring.start(tick, rows, np.full(UNIFIED_WIDTH, -5, np.float32), np.full(N, -5.0))
    return ring


def read(ring: RingBuffer, tick: int) -> tuple[RowStatus, float, int]:
    row = Row(np.zeros(N))
    status = ring.read(tick, row)
    return status, float(row.joints[0]), row.chunk


def told(ring: RingBuffer, tick: int, delay: int) -> Unified:
    out = np.zeros((T, UNIFIED_WIDTH), np.float32)
    ring.commit(tick, delay, out)
    return out


def test_capacity_is_at_least_two_chunks() -> None:
    with pytest.raises(ValueError, match="at least 2 x chunk_length"):
        RingBuffer(2 * T - 1, T, N, HoldFallback())


def test_before_the_start_nothing_goes() -> None:
    ring = RingBuffer(2 * T, T, N, HoldFallback())
    for use in (lambda: read(ring, 0), lambda: told(ring, 0, 1), lambda: ring.publish(0, 0, 0, *chunk(0))):
        with pytest.raises(RuntimeError, match="not started"):
            use()
    assert len(ring.snapshot(0, 5)[0]) == 0


@pytest.mark.parametrize("rows", [0, T + 1])
def test_seed_rows_are_one_to_a_chunk(rows: int) -> None:
    with pytest.raises(ValueError, match=f"expected 1 to {T}, got {rows}"):
        started(rows=rows)


def test_seed_rows_are_read_first() -> None:
    ring = started(tick=5, rows=2)
    assert (ring.cursor, ring.end) == (4, 7)
    assert len(ring.snapshot(0, 20)[0]) == 4, "two resting rows before the start, two granted"
    assert read(ring, 5) == (RowStatus.SEED, -5.0, SEED_CHUNK)
    assert ring.cursor == 5


def test_reading_past_the_end_runs_the_fallback_and_keeps_it() -> None:
    ring = started(rows=1)
    read(ring, 0)
    assert read(ring, 1) == (RowStatus.UNDERRUN, -5.0, FALLBACK_CHUNK)
    assert ring.end == 2
    assert ring.publish(0, 0, 1, *chunk(0)) is Publication.REFUSED, "a row for tick 1 is late now"
    assert ring.publish(0, 0, 2, *chunk(0)) is Publication.VIOLATING
    assert read(ring, 2) == (RowStatus.POLICY, 2.0, 0)


def test_ticks_that_were_left_out_count_as_executed() -> None:
    ring = started(rows=1)
    assert read(ring, 4)[0] is RowStatus.UNDERRUN
    assert ring.publish(0, 0, 4, *chunk(0)) is Publication.REFUSED
    assert ring.publish(0, 0, 5, *chunk(0)) is Publication.VIOLATING


def test_a_refused_publication_changes_nothing() -> None:
    ring = started()
    read(ring, 0)
    told(ring, 0, 2)
    before = [rows.tobytes() for rows in ring.snapshot(-10, 50)]
    for first in (0, 1):
        assert ring.publish(0, 0, first, *chunk(0)) is Publication.REFUSED
    assert [rows.tobytes() for rows in ring.snapshot(-10, 50)] == before
    assert ring.end == 3


def test_a_committed_row_is_refused_to_others() -> None:
    ring = started()
    told(ring, 0, 3)
    assert ring.committed_end == 3
    assert ring.publish(0, 0, 2, *chunk(0)) is Publication.REFUSED
    told(ring, 0, 1)
    assert ring.committed_end == 3, "a shorter commitment takes nothing back"


def test_a_gap_is_an_error() -> None:
    ring = started(rows=3)
    with pytest.raises(ValueError, match="gap after the last row at tick 2"):
        ring.publish(0, 0, 4, *chunk(0))


def test_a_commitment_past_the_end_commits_the_fallback() -> None:
    ring = started(rows=1)
    rows = told(ring, 0, 3)
    assert ring.end == 3
    assert (rows == -5).all()
    assert [read(ring, tick)[0] for tick in range(3)] == [RowStatus.SEED, RowStatus.UNDERRUN, RowStatus.UNDERRUN]


def test_the_policy_is_told_what_runs() -> None:
    ring = started(rows=2)
    rows, joints = chunk(3)
    rows[:2] = -5
    assert ring.publish(3, 0, 2, rows, joints) is Publication.INTACT
    out = told(ring, 4, 2)
    assert out[:, 0].tolist() == [3004, 3005, 3006, 3007, 3007, 3007, 3007, 3007], "past the end the last row repeats"


def test_a_commitment_names_the_joints_around_it() -> None:
    ring = started(rows=2)
    rows, joints = chunk(3)
    ring.publish(3, 0, 2, rows, joints)
    out = np.zeros((T, UNIFIED_WIDTH), np.float32)

    def around(tick: int, delay: int) -> list[float]:
        return [row[0] for row in ring.commit(tick, delay, out)]

    assert around(3, 2) == [3002.0, 3004.0], "the row before the observation's, and that of tick 3 + 2 - 1"
    assert around(3, 0) == [3002.0, 3002.0], "with nothing locked they are the same"
    assert around(6, 5) == [3005.0, 3007.0], "past the end, what the fallback makes of the last row"
    assert around(-2, 0) == [-5.0, -5.0], "nothing is older than the oldest row"
    for row in ring.commit(3, 2, out):
        row[:] = 9
    assert around(3, 2) == [3002.0, 3004.0], "copies"


def test_a_hold_repeats_what_is_absolute_and_stops_what_is_relative() -> None:
    ring = RingBuffer(2 * T, T, N, HoldFallback(np.array([3, 150]), np.array([0.25, -0.5], np.float32)))
    ring.start(0, 1, np.arange(UNIFIED_WIDTH, dtype=np.float32), np.array([1.0, 2.0]))
    for tick in range(3):
        read(ring, tick)
    unified, joints = ring.snapshot(0, 3)
    expected = np.arange(UNIFIED_WIDTH, dtype=np.float32)
    assert np.array_equal(unified[0], expected), "the row that was there stays as it is"
    expected[[3, 150]] = 0.25, -0.5
    assert np.array_equal(unified[1:], [expected, expected])
    assert np.array_equal(joints, [[1.0, 2.0]] * 3)


def test_one_different_bit_in_the_prefix_is_a_violation() -> None:
    ring = started(rows=3)
    rows, joints = chunk(0)
    rows[:3] = -5
    rows[2, 117] = np.nextafter(np.float32(-5), np.float32(0))
    assert ring.publish(0, 0, 3, rows, joints) is Publication.VIOLATING
    row = Row(np.zeros(N))
    for tick in range(4):
        ring.read(tick, row)
        assert row.intact is (tick < 3)


def test_a_new_chunk_replaces_all_rows_from_its_first_on() -> None:
    ring = started(rows=2)
    ring.publish(0, 0, 2, *chunk(0))
    ring.publish(1, 3, 1, *chunk(1))
    assert ring.end == 3 + T
    assert [read(ring, tick)[1] for tick in range(11)] == [-5, -5, 2, 3] + [1000 + i for i in range(1, 8)]


def test_rows_older_than_the_capacity_are_forgotten() -> None:
    ring = started(rows=1)
    for tick in range(3 * T):
        read(ring, tick)
    assert len(ring.snapshot(-10, 100)[0]) == 2 * T
    with pytest.raises(ValueError, match=f"at least {T}, the oldest row kept"):
        told(ring, T - 1, 1)
    assert (told(ring, T, 1) == -5).all()


def test_a_reader_that_was_away_for_longer_than_the_capacity_finds_underruns_not_other_rows() -> None:
    ring = started()
    ring.publish(0, 0, 3, *chunk(0))
    told(ring, 5 * T, 3)
    assert ring.publish(1, 5 * T, 3, *chunk(1)) is not Publication.REFUSED
    statuses = {tick: read(ring, tick) for tick in range(5 * T + 4)}
    assert {status for tick, (status, _, _) in statuses.items() if tick < 4 * T - 8} == {RowStatus.UNDERRUN}
    assert statuses[5 * T + 3] == (RowStatus.POLICY, 1003.0, 1)


def test_a_chunk_a_whole_length_late_is_not_intact() -> None:
    ring = started(rows=T)
    rows, joints = chunk(0)
    rows[:] = -5
    for tick in range(2 * T):
        read(ring, tick)
    ring.commit(2 * T - 1, 1, np.zeros((T, UNIFIED_WIDTH), np.float32))
    long = np.concatenate([rows, rows, rows]), np.concatenate([joints, joints, joints])
    assert ring.publish(0, -1, 2 * T + 1, *long) is Publication.VIOLATING


def test_a_snapshot_is_a_copy_of_what_is_there() -> None:
    ring = started(rows=3)
    unified, joints = ring.snapshot(1, 10)
    assert (unified.shape, joints.shape) == ((2, UNIFIED_WIDTH), (2, N))
    joints[:] = 9
    assert read(ring, 0)[1] == -5
    assert len(ring.snapshot(50, 4)[1]) == 0


def test_a_second_start_forgets_everything() -> None:
    ring = started()
    ring.publish(0, 0, 1, *chunk(0))
    read(ring, 0)
    ring.start(100, 2, np.zeros(UNIFIED_WIDTH, np.float32), np.ones(N))
    assert (ring.cursor, ring.end) == (99, 102)
    assert read(ring, 100) == (RowStatus.SEED, 1.0, SEED_CHUNK)


def test_the_ramp_fallback_goes_to_rest_in_bounded_steps() -> None:
    def encode(joints: Joints, before: Joints) -> Unified:
        rows = np.repeat(joints[:, :1], UNIFIED_WIDTH, axis=1).astype(np.float32)
        rows[:, 1:] = np.diff(joints[:, :1], axis=0, prepend=before[None, :1])
        return rows

    ring = RingBuffer(2 * T, T, N, RampFallback(np.array([1.0, -0.3]), np.array([0.4, 0.4]), encode))
    ring.start(0, 1, np.zeros(UNIFIED_WIDTH, np.float32), np.zeros(N))
    for tick in range(5):
        read(ring, tick)
    unified, joints = ring.snapshot(0, 5)
    assert np.allclose(joints, [[0, 0], [0.4, -0.3], [0.8, -0.3], [1, -0.3], [1, -0.3]])
    assert np.array_equal(unified[1:], encode(joints[1:], joints[0]))


class RingMachine(RuleBasedStateMachine):
    """Calls in any order, legal or not, against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = started(capacity=2 * T + 3)
        self.model = RingModel(2 * T + 3, T, lambda unified, joints: (unified, joints))
        self.model.start(0, 3, np.full(UNIFIED_WIDTH, -5, np.float32), np.full(N, -5.0))
        self.number = 0

    @rule(count=st.integers(1, T))
    def read(self, count: int) -> None:
        row = Row(np.zeros(N))
        for tick in range(self.ring.cursor + 1, self.ring.cursor + 1 + count):
            status = self.ring.read(tick, row)
            unified, _ = self.ring.snapshot(tick, 1)
            self.model.read(tick, status, row.joints, unified[0], row.chunk, row.intact)

    @rule(back=st.integers(0, T - 1), delay=st.integers(0, T))
    @precondition(lambda self: self.ring.cursor - T >= self.model.oldest)
    def commit(self, back: int, delay: int) -> None:
        tick = self.ring.cursor - back
        out = np.zeros((T, UNIFIED_WIDTH), np.float32)
        self.model.commit(tick, delay, out, self.ring.commit(tick, delay, out))

    @rule(
        first=st.one_of(st.none(), st.integers(0, T - 1)),
        keep=st.booleans(),
    )
    def publish(self, first: int | None, keep: bool) -> None:
        """Where the protocol asks for it, or anywhere."""
        promise = self.model.promise
        right = max(promise.delay, self.ring.cursor + 1 - promise.tick)
        first = right if first is None else first
        start = promise.tick + first
        allowed = self.model.cursor < start and self.model.committed_end <= start <= self.model.end
        if first >= T or (allowed and first != right):
            return  # the model knows only the protocol's own place
        rows, joints = chunk(self.number)
        if keep:
            for i in range(first):
                if promise.tick + i in self.model.rows:
                    rows[i] = self.model.rows[promise.tick + i].unified
        if start > self.model.end:
            with pytest.raises(ValueError, match="gap"):
                self.ring.publish(self.number, promise.tick, first, rows, joints)
            return
        outcome = self.ring.publish(self.number, promise.tick, first, rows, joints)
        self.model.publish(self.number, promise.tick, first, outcome, rows, joints)
        self.number += 1

    @invariant()
    def same(self) -> None:
        assert (self.ring.cursor, self.ring.end) == (self.model.cursor, self.model.end)
        unified, joints = self.ring.snapshot(self.model.oldest, 1000)
        assert len(unified) == self.model.end - self.model.oldest
        for i, tick in enumerate(range(self.model.oldest, self.model.end)):
            assert unified[i].tobytes() == self.model.rows[tick].unified.tobytes()
            assert joints[i].tobytes() == self.model.rows[tick].joints.tobytes()


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
