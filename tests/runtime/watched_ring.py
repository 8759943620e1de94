"""The real ring buffer, with its model looking over its shoulder and time passing at the worst moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unichunk.runtime.ring_buffer import Around, Publication, RingBuffer, Row, RowStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runtime.fake_policy import Joints, Unified
    from tests.runtime.ring_model import RingModel
    from unichunk.runtime.fallback import Fallback


class Written(NamedTuple):
    """What the last accepted publication was given."""

    first: int
    unified: Unified
    joints: Joints


class WatchedRing(RingBuffer):
    """Passes everything on; `interrupt` runs between the producer's look at the cursor and its writing."""

    def __init__(
        self,
        capacity: int,
        chunk_length: int,
        joints: int,
        fallback: Fallback,
        model: RingModel,
        interrupt: Callable[[], None],
    ) -> None:
        super().__init__(capacity, chunk_length, joints, fallback)
        self.model = model
        self.interrupt = interrupt
        self.written: Written | None = None
        self.attempts = 0
        """Publications tried since the last commitment."""

    def start(self, tick: int, rows: int, unified: Unified, joints: Joints) -> None:
        super().start(tick, rows, unified, joints)
        self.model.start(tick, rows, unified, joints)

    def read(self, tick: int, row: Row) -> RowStatus:
        status = super().read(tick, row)
        unified, joints = super().snapshot(tick, 1)
        assert joints[0].tobytes() == row.joints.tobytes(), f"read and snapshot differ at tick {tick}"
        self.model.read(tick, status, row.joints, unified[0], row.chunk, row.intact)
        return status

    def commit(self, tick: int, delay: int, out: Unified) -> Around:
        around = super().commit(tick, delay, out)
        self.attempts = 0
        self.model.commit(tick, delay, out, around)
        return around

    def publish(self, chunk: int, tick: int, first: int, unified: Unified, joints: Joints) -> Publication:
        self.attempts += 1
        assert self.attempts <= len(unified), "the producer tries to publish for ever"
        self.interrupt()
        outcome = super().publish(chunk, tick, first, unified, joints)
        self.model.publish(chunk, tick, first, outcome, unified, joints)
        if outcome is not Publication.REFUSED:
            self.written = Written(first, unified.copy(), joints.copy())
        return outcome

    def snapshot(self, tick: int, length: int) -> tuple[Unified, Joints]:
        assert tick + length - 1 <= self.model.cursor, f"a seam is mended to tick {tick}, which has not run"
        return super().snapshot(tick, length)
