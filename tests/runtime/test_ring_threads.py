"""The ring buffer between real threads: no torn row, no lost update, in a million reads."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.ring_buffer import FALLBACK_CHUNK, SEED_CHUNK, Publication, RingBuffer, Row
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.fake_policy import Joints, Unified

T, N = 32, 7
READS = 1_000_000
READS_PER_TICK = 4
"""A tick is read several times: what executes must not change under the reader's hands."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def impatient_interpreter() -> Iterator[None]:
    """Threads change over as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def checksum(chunk: int, ticks: np.ndarray) -> np.ndarray:
    """The value in every column of a row: exact in float32, different for different chunks and ticks."""
    return (chunk * 7919 + ticks * 104729) % 16_000_057


class Publisher(threading.Thread):
    """Commits and publishes without pause, but for a stall now and then; keeps a list of what was accepted."""

    def __init__(self, ring: RingBuffer) -> None:
        super().__init__(daemon=True)
        self.ring = ring
        self.accepted: list[tuple[int, int, int]] = []
        self.refused = 0
        self.overtaken = 0
        self.broken_promises = 0
        self.done = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._publish_all()
        except BaseException as failure:  # noqa: BLE001  raised again by the test
            self.failure = failure

    def _publish_all(self) -> None:
        told = np.zeros((T, UNIFIED_WIDTH), np.float32)
        random = np.random.default_rng(5)
        number = 0
        while not self.done.is_set():
            tick = self.ring.cursor
            delay = max(int(random.integers(1, T // 2)), self.ring.committed_end - tick)
            try:
                self.ring.commit(tick, delay, told)
            except ValueError as error:
                # The reader ran on by more than the capacity between two lines of this thread.
                assert "the oldest row kept" in str(error)  # noqa: PT017
                self.overtaken += 1
                continue
            if random.random() < 0.02:
                time.sleep(random.choice((0.0, 0.0005, 0.003)))
            ticks = np.arange(tick, tick + T)
            unified: Unified = np.repeat(checksum(number, ticks)[:, None], UNIFIED_WIDTH, axis=1).astype(np.float32)
            joints: Joints = unified[:, :N].astype(np.float64)
            unified[:delay] = told[:delay]
            self._publish(number, tick, delay, unified, joints)
            number += 1

    def _publish(self, number: int, tick: int, delay: int, unified: Unified, joints: Joints) -> None:
        while (first := max(delay, self.ring.cursor + 1 - tick)) < T:
            outcome = self.ring.publish(number, tick, first, unified, joints)
            if outcome is not Publication.REFUSED:
                self.accepted.append((number, tick + first, tick + T))
                self.broken_promises += first == delay and outcome is not Publication.INTACT
                return
            self.refused += 1


class Onlooker(threading.Thread):
    """Takes snapshots all the time; every row of them must be of one piece."""

    def __init__(self, ring: RingBuffer) -> None:
        super().__init__(daemon=True)
        self.ring = ring
        self.rows = 0
        self.torn = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            unified, joints = self.ring.snapshot(self.ring.cursor - 4, T)
            self.rows += len(unified)
            self.torn += int((unified != unified[:, :1]).any(axis=1).sum())
            self.torn += int((joints != unified[:, :N]).any(axis=1).sum())
            time.sleep(0.0005)


def test_no_torn_row_and_no_lost_update(impatient_interpreter: None) -> None:
    ring = RingBuffer(4 * T, T, N, HoldFallback())
    ring.start(0, T, np.zeros(UNIFIED_WIDTH, np.float32), np.zeros(N))
    publisher, onlooker = Publisher(ring), Onlooker(ring)
    ticks = READS // READS_PER_TICK
    joints, chunks = np.zeros((ticks, N)), np.zeros(ticks, np.int64)
    row, again = Row(np.zeros(N)), Row(np.zeros(N))
    changed = 0
    publisher.start()
    onlooker.start()
    for tick in range(ticks):
        ring.read(tick, row)
        joints[tick], chunks[tick] = row.joints, row.chunk
        if tick % 8 == 0:
            time.sleep(0)
        for _ in range(READS_PER_TICK - 1):
            ring.read(tick, again)
            changed += again.chunk != row.chunk or again.joints.tobytes() != row.joints.tobytes()
    for thread in (publisher, onlooker):
        thread.done.set()
        thread.join(10)
        assert not thread.is_alive()
    if publisher.failure is not None:
        raise publisher.failure

    assert changed == 0, "a row changed while it executed"
    assert onlooker.torn == 0, f"{onlooker.torn} of {onlooker.rows} rows seen by the onlooker were torn"
    assert publisher.broken_promises == 0, "a committed prefix was not what ran"
    expected = np.full(ticks + T, FALLBACK_CHUNK)
    expected[:T] = SEED_CHUNK
    for number, start, end in publisher.accepted:
        expected[start:end] = number
        expected[end:] = FALLBACK_CHUNK
    lost = np.flatnonzero(chunks != expected[:ticks])
    assert len(lost) == 0, f"{len(lost)} rows lost, the first at tick {lost[0]}"
    policy = np.flatnonzero(chunks >= 0)
    values = checksum(chunks[policy], policy)
    assert (joints[policy] == values[:, None]).all(), "a torn row"
    assert len(publisher.accepted) > 100
    assert len(policy) > 1000
