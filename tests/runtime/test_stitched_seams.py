"""Seams of policies that cannot lock: blended, wherever the new chunk would have gone on from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.fake_policy import Joints, encode, hold
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.producer import ChunkRecord, Producer
from unichunk.runtime.ring_buffer import RingBuffer, Row
from unichunk.runtime.ticks import Timebase

HZ, T, N = 20, 12, 3
STEP = np.array([0.05, 0.1, 0.2])
TICK_NS = 1_000_000_000 // HZ


def stitched(committed: Joints, own: Joints, delay: int, *, locks: bool) -> tuple[ChunkRecord, Joints]:
    """A chunk (T, n) stitched behind committed rows (delay, n), of which the first ran before; and what runs then."""
    ring = RingBuffer(4 * T, T, N, hold(N))
    rest = committed[0]
    ring.start(0, 1, encode(rest[None], rest)[0], rest)
    ring.publish(0, 0, 0, encode(committed, rest), committed)
    estimator = DelayEstimator(HZ, 1)
    estimator.observe(0.0, (delay - 1.5) / HZ if delay > 1 else 0.0)
    producer = Producer(
        ring,
        estimator,
        Timebase(0, HZ, HZ),
        encode=encode,
        joint_step=STEP,
        minimum_postfix=1,
        trained_delay=T,
        chunk_length=T,
        locks=locks,
    )
    commitment = producer.begin(0, 0)
    rows = own.copy()
    rows[: commitment.delay] = committed[: commitment.delay]
    record = producer.finish(commitment, encode(rows, rest), rows, lambda: (commitment.delay - 1) * TICK_NS)
    row = Row(np.zeros(N))
    ran = []
    for tick in range(T):
        ring.read(tick, row)
        ran.append(row.joints.copy())
    return record, np.array(ran)


joints = st.lists(st.floats(-1.0, 1.0, width=32), min_size=N, max_size=N).map(np.array)


@given(joints, joints, st.integers(1, 5), st.floats(-0.4, 0.4))
def test_the_seam_is_blended_and_the_end_is_the_chunks_own(
    start: Joints, goal: Joints, delay: int, pace: float
) -> None:
    committed = start + pace * STEP * np.arange(delay)[:, None]
    own = goal + pace * STEP * np.arange(T)[:, None]
    record, ran = stitched(committed, own, delay, locks=False)
    assert (record.first, record.commitment.delay) == (delay, delay)
    shift = committed[-1] - (2 * own[delay] - own[delay + 1])
    assert abs(record.seam - np.max(np.abs(shift))) < 1e-9
    np.testing.assert_array_equal(ran[:delay], committed)
    jump = ran[delay] - ran[delay - 1] - pace * STEP
    assert (np.abs(jump) <= np.maximum(0.5 * STEP, np.abs(shift) / (T - delay)) + 1e-9).all()
    np.testing.assert_allclose(ran[-1], own[-1], atol=1e-9)


@given(joints, st.integers(1, 5), st.floats(-0.4, 0.4))
def test_a_chunk_that_goes_on_by_itself_stays_as_it_is(start: Joints, delay: int, pace: float) -> None:
    own = start + pace * STEP * np.arange(T)[:, None]
    record, ran = stitched(own[:delay], own, delay, locks=False)
    assert record.seam < 1e-9
    np.testing.assert_allclose(ran, own, atol=1e-9)


def test_a_policy_that_locks_is_left_alone() -> None:
    own = np.tile(np.linspace(0.5, 1.0, T)[:, None], N)
    record, ran = stitched(np.zeros((3, N)), own, 3, locks=True)
    assert record.seam == 0.0
    np.testing.assert_array_equal(ran[3:], own[3:])
