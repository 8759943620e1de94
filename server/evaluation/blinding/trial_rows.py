"""The rows of one trial: a policy's chunks, stitched at ticks by the runtime's own ring buffer and producer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from unichunk.embodiments.sim.fixed_delay import FixedDelay
from unichunk.runtime.chunking import late_seam_fade, stitch_row
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.producer import Producer
from unichunk.runtime.ring_buffer import RingBuffer, Row, RowStatus
from unichunk.runtime.ticks import NANOSECONDS, Timebase
from unichunk.server.evaluation.blinding.mode import Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.fallback import Fallback
    from unichunk.runtime.producer import ChunkRecord, Commitment
    from unichunk.server.evaluation.blinding.row_limits import RowLimits
    from unichunk.server.evaluation.planning.campaign import Blinding

_UNCHANGED: Final = 1e-6
"""What the rounding to float32 may change, [rad]."""


class RowSpace(Protocol):
    """What a policy's rows look like beside the joints that they mean."""

    @property
    def chunk_length(self) -> int:
        """T, rows of a chunk."""
        ...

    @property
    def max_delay(self) -> int:
        """Longest prefix that the policy can continue, in rows."""
        ...

    @property
    def width(self) -> int:
        """Of a row of its own."""
        ...

    @property
    def fallback(self) -> Fallback:
        """What follows where it says nothing: to stay."""
        ...

    def encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        """Joint rows (m, n) [rad] that run after `before` (n,), as rows of its own (m, width)."""
        ...


@dataclass
class TrialCounts:
    """What happened in a trial. It tells policies apart: for the sealed record only.

    Attributes:
        chunks: That took effect.
        intact: Of them, those that go on from exactly what ran before them.
        missed: That came too late and were dropped, or of which no row was left.
        late: That took effect later than declared.
        underruns: Rows held because no chunk had one.
        held_back: Rows of chunks that were beyond the limits of position or speed.
        gaps: Times that the robot skipped ticks.
    """

    chunks: int = 0
    intact: int = 0
    missed: int = 0
    late: int = 0
    underruns: int = 0
    held_back: int = 0
    gaps: int = 0


@dataclass(frozen=True, eq=False)
class Ticket:
    """An inference that was begun, and whose chunk may come back.

    Attributes:
        commitment: What was promised.
        stretch: Which stretch of rows it is for: a robot that skipped ticks began another.
    """

    commitment: Commitment
    stretch: int = field(repr=False)


class TrialRows:
    """Rows of a policy from tick `tick` on, as a `RowsSource`. Time is ticks: no clock.

    All that is written to the ring buffer is within the limits, row after row, so what is read there is what runs.

    Args:
        spec: The embodiment.
        limits: Of its rows.
        blinding: H, and what happens with a late chunk.
        space: The policy's rows.
        tick: The first tick that will be read.
        row: The row that runs before it, shape (n,), [rad].
        delay: D, [ticks]: every chunk takes effect so many ticks after its observation; None: when it is there.
        expected_s: What an inference is expected to take where D is None, [s].
    """

    mode: Final = Mode.RUN

    def __init__(
        self,
        spec: EmbodimentSpec,
        limits: RowLimits,
        blinding: Blinding,
        space: RowSpace,
        tick: int,
        row: NDArray[np.float64],
        *,
        delay: int | None,
        expected_s: float,
    ) -> None:
        self.counts = TrialCounts()
        self._spec, self._limits, self._space = spec, limits, space
        self._rows, self._delay = blinding.rows, delay
        self._drops_late = delay is not None and blinding.on_miss == "hold"
        self._timebase = Timebase(0, spec.action_hz, spec.command_hz)
        self._estimator = _estimator(spec, self._rows, delay, expected_s)
        # Beside running and coming rows it reaches back over the rows that were handed out ahead of time.
        capacity = 4 * space.chunk_length + 2 * blinding.rows
        self._ring = RingBuffer(capacity, space.chunk_length, len(row), space.fallback, width=space.width)
        self._row = Row(row.copy())
        self._stretch = 0
        self._open: Ticket | None = None
        self._begun_at: int | None = None
        self._start(tick, row)

    @property
    def waits_at(self) -> int | None:
        """The first tick whose row depends on a chunk that is not there yet; None where none is being inferred."""
        return None if self._open is None else self._open.commitment.tick + self._open.commitment.delay

    def next(self, tick: int, before: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  part of the protocol
        """The row of a tick; from here on it cannot change."""
        status = self._ring.read(tick, self._row)
        self.counts.underruns += status is RowStatus.UNDERRUN
        return self._row.joints

    def skip_to(self, tick: int, before: NDArray[np.float64]) -> None:
        """Forget all rows, and the chunk that is being inferred: it was to go on from rows that never ran."""
        self.counts.gaps += 1
        self._start(tick, before)

    def measured(self, tick: int, joints: NDArray[np.float64]) -> None:
        """Of no interest: policies get it with their observation."""

    def begin(self, tick: int) -> Ticket | None:
        """Commit rows for an inference on an observation of this tick.

        Returns:
            None where none is due: one is under way, or the next one is to begin later. With a declared delay D one
            begins every D ticks, whatever the policy: robots see one rate.
        """
        if self._open is not None or tick < self._first:
            return None
        every = self._delay or 1
        if self._begun_at is not None and tick < self._begun_at + every:
            return None
        stamp_ns = self._start_of(tick)
        self._open = Ticket(self._producer.begin(stamp_ns, stamp_ns), self._stretch)
        self._begun_at = tick
        return self._open

    def finish(
        self, ticket: Ticket, unified: NDArray[np.float32], joints: NDArray[np.float64], *, cold: bool = False
    ) -> ChunkRecord | None:
        """Stitch what a policy answered.

        Args:
            ticket: What `begin` returned.
            unified: All rows as the policy's own, shape (T, width).
            joints: The same as joint targets, shape (T, n), [rad].
            cold: Whether the next one will be faster for a known reason.

        Returns:
            What became of it; None where it was dropped, because it is late and the plan drops such, or because the
            robot skipped ticks meanwhile.

        Raises:
            PolicyError: Where the chunk is not finite or has the wrong shape; nothing of it was written.
        """
        if not self._close(ticket):
            return None
        commitment = ticket.commitment
        first = stitch_row(commitment.delay, commitment.tick, self._ring.cursor)
        late = first > commitment.delay
        if late and self._drops_late:
            self.counts.missed += 1
            return None
        if _fits(unified, joints, commitment, len(self._spec.joints)) and first < len(joints):
            unified, joints = self._within_limits(commitment, first, unified, joints)
        # Ticks that were handed out are the time that passed.
        record = self._producer.finish(commitment, unified, joints, self._now_ns, cold=cold)
        self.counts.chunks += not record.lost
        self.counts.missed += record.lost
        self.counts.late += late and not record.lost
        self.counts.intact += record.intact
        return record

    def drop(self, ticket: Ticket) -> bool:
        """Nothing came back; the next observation is a new try. False where nobody waited for it any more."""
        if not self._close(ticket):
            return False
        self.counts.missed += 1
        return True

    def _close(self, ticket: Ticket) -> bool:
        if ticket is not self._open or ticket.stretch != self._stretch:
            return False
        self._open = None
        return True

    def _start(self, tick: int, row: NDArray[np.float64]) -> None:
        space, spec = self._space, self._spec
        granted = min(self._delay or self._rows, space.chunk_length)
        self._ring.start(tick, granted, space.encode(row[None], row)[0], row)
        self._first = tick
        self._stretch += 1
        self._open, self._begun_at = None, None
        self._producer = Producer(
            self._ring,
            self._estimator,
            self._timebase,
            encode=space.encode,
            joint_step=self._limits.step,
            minimum_postfix=spec.minimum_postfix_ticks,
            trained_delay=space.max_delay,
            chunk_length=space.chunk_length,
        )

    def _within_limits(
        self, commitment: Commitment, first: int, unified: NDArray[np.float32], joints: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The chunk with its rows from `first` on as they can follow what runs before them; a late seam is mended."""
        before = self._ring.snapshot(commitment.tick + first - 1, 1)[1][0]
        targets = joints[first:].copy()
        if first > commitment.delay:
            shift = before - joints[first - 1]
            targets += late_seam_fade(shift, self._limits.step, len(targets))[:, None] * shift
        rows = self._limits.follow_all(before, targets)
        changed = np.abs(rows - joints[first:]).max(axis=1) > _UNCHANGED
        self.counts.held_back += int((np.abs(rows - targets).max(axis=1) > _UNCHANGED).sum())
        out = joints.copy()
        out[first:] = rows
        # The producer would mend a late seam too: there is nothing left of it.
        out[first - 1] = before
        if changed.any():
            unified = unified.copy()
            unified[first:] = self._space.encode(rows, before)
        return unified, out

    def _now_ns(self) -> int:
        return self._start_of(self._ring.cursor + 1)

    def _start_of(self, tick: int) -> int:
        """The first nanosecond of a tick."""
        return -(-tick * NANOSECONDS // self._spec.action_hz)


def _estimator(spec: EmbodimentSpec, rows: int, delay: int | None, expected_s: float) -> DelayEstimator:
    """What chooses d: the plan, or what was measured, where rows that were handed out ahead count as time passed."""
    if delay is not None:
        return FixedDelay(delay)
    estimator = DelayEstimator(spec.action_hz, spec.delay_margin_ticks)
    estimator.observe(rows / spec.action_hz, expected_s)
    return estimator


def _fits(unified: NDArray[np.float32], joints: NDArray[np.float64], commitment: Commitment, n: int) -> bool:
    """Whether a chunk is one at all; the producer says what is wrong with one that is not."""
    shape = commitment.previous_chunk.shape
    return (
        unified.shape == shape
        and joints.shape == (shape[0], n)
        and bool(np.isfinite(unified).all())
        and bool(np.isfinite(joints).all())
    )
