"""The producer: commit, lock, stitch around one inference. No clock and no thread: time is passed in.

An inference is `begin` (commit rows, tell the policy), the policy itself, and `finish` (stitch what came back).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.chunking import largest_delay, late_seam_fade, stitch_row
from unichunk.runtime.errors import PolicyError
from unichunk.runtime.ring_buffer import Publication, RingBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.delay import DelayEstimator
    from unichunk.runtime.fallback import Encode
    from unichunk.runtime.ticks import Timebase


@dataclass(frozen=True)
class Commitment:
    """What was promised before an inference.

    Attributes:
        chunk: The chunk's number.
        tick: Tick of the observation, t0.
        delay: d: rows t0 ... t0 + d - 1 are committed.
        previous_chunk: Unified rows from t0 on, shape (T, 200); the sampler locks the first d. Behind the end of the
            running plan its last row is repeated.
        ran: The joint row of tick t0 - 1, shape (n,), [rad]: what ran right before the observation's tick.
        before: The joint row of tick t0 + d - 1, shape (n,), [rad]: what the chunk's own rows go on from.
        stamp_ns: When the observation was captured, [ns].
        begun_ns: When the inference began, [ns].
        saturated: True where the latency asks for more delay than the chunk can cover.
        aged: True where the inference could have begun earlier, and was put off.
        overlap: Rows of the running plan from t0 on that are there, at most T.
    """

    chunk: int
    tick: int
    delay: int
    previous_chunk: NDArray[np.float32]
    ran: NDArray[np.float64]
    before: NDArray[np.float64]
    stamp_ns: int
    begun_ns: int
    saturated: bool
    aged: bool = False
    overlap: int = 0

    @property
    def running(self) -> NDArray[np.float32] | None:
        """The running plan from t0 on as far as it is there, shape (m, 200), m >= d; None where nothing is."""
        rows = max(self.overlap, self.delay)
        return self.previous_chunk[:rows] if rows else None


@dataclass(frozen=True)
class ChunkRecord:
    """What became of one inference.

    Attributes:
        commitment: What was promised.
        first: First row written; `commitment.delay` where the chunk was in time.
        dropped: Rows of its own that came too late.
        intact: False where something else ran than what the chunk was conditioned on.
        latency_ns: From the observation's capture until the rows could be read, [ns].
        lost: True where not a row could be written.
        seam: Largest shift blended away at the seam, [rad]; 0 where the chunk was in time and its policy locks.
    """

    commitment: Commitment
    first: int
    dropped: int
    intact: bool
    latency_ns: int
    lost: bool
    seam: float


class Producer:
    """Commits, checks and stitches chunks.

    Args:
        ring: Where rows go.
        estimator: Chooses d.
        timebase: Maps stamps to ticks.
        encode: What a late seam makes of a chunk's joint rows, as unified rows again.
        joint_step: Largest change of each joint from row to row, shape (n,), [rad]; bounds how a late seam fades.
        minimum_postfix: Fewest rows a chunk must keep after its prefix.
        trained_delay: Longest prefix the policy was trained to continue.
        chunk_length: T.
        number: Number of the first chunk.
        locks: Whether the policy's rows go on from what is committed. Where they do not, every seam is blended as that
            of a late chunk is.
    """

    def __init__(
        self,
        ring: RingBuffer,
        estimator: DelayEstimator,
        timebase: Timebase,
        *,
        encode: Encode,
        joint_step: NDArray[np.float64],
        minimum_postfix: int,
        trained_delay: int,
        chunk_length: int,
        number: int = 0,
        locks: bool = True,
    ) -> None:
        self._ring = ring
        self._estimator = estimator
        self._timebase = timebase
        self._encode = encode
        self._joint_step = joint_step
        self._largest = largest_delay(chunk_length, minimum_postfix, trained_delay)
        self._chunk_length = chunk_length
        self._number = number
        self._locks = locks

    @property
    def rows_to_arrive(self) -> int:
        """Rows that must remain when an inference starts, so that its chunk arrives before they are used up."""
        return min(self._estimator.delay(), self._largest) + 1

    def can_wait(self, pause_s: float, now_ns: int, stamp_ns: int | None) -> bool:
        """Whether an inference that starts after a pause still brings its chunk in time, and with rows of its own.

        A pause crosses at most floor(pause / tick) + 1 ticks, wherever it begins. What the chunk will have to commit
        grows with the age of its observation, which only a chunk that covers it can afford.

        Args:
            pause_s: How long it will hardly ever be, [s].
            now_ns: Now, [ns].
            stamp_ns: Capture of an observation that is there to be acted on, [ns]; None where one that arrives in the
                pause will be.
        """
        age_s = self._estimator.upper_age_s if stamp_ns is None else (now_ns - stamp_ns) / 1e9
        if self._estimator.delay(age_s + pause_s) > self._largest:
            return False
        rows = self._ring.end - 1 - self._ring.cursor
        return rows - math.floor(pause_s * self._timebase.action_hz) - 1 >= self.rows_to_arrive

    def begin(self, stamp_ns: int, now_ns: int, *, aged: bool = False) -> Commitment:
        """Commit rows for an inference that starts now.

        Args:
            stamp_ns: Capture of the observation, [ns].
            now_ns: Now, [ns].
            aged: Whether it could have started earlier and was put off; its observation's age is no measurement then.
        """
        tick = self._timebase.tick_at(stamp_ns)
        wanted = self._estimator.delay((now_ns - stamp_ns) / 1e9)
        # Observations of one tick share their commitment: what is committed stays so where d has shrunk since.
        committed = min(self._ring.committed_end - tick, self._chunk_length)
        delay = max(min(wanted, self._largest), committed)
        previous = np.zeros((self._chunk_length, self._ring.width), np.float32)
        # Looked at before: rows that fill a gap from here on are no plan.
        overlap = max(0, min(self._ring.end - tick, self._chunk_length))
        ran, before = self._ring.commit(tick, delay, previous)
        self._number += 1
        return Commitment(
            chunk=self._number - 1,
            tick=tick,
            delay=delay,
            previous_chunk=previous,
            ran=ran,
            before=before,
            stamp_ns=stamp_ns,
            begun_ns=now_ns,
            saturated=wanted > delay,
            aged=aged,
            overlap=overlap,
        )

    def finish(
        self,
        commitment: Commitment,
        unified: NDArray[np.float32],
        joints: NDArray[np.float64],
        clock: Callable[[], int],
        *,
        cold: bool = False,
    ) -> ChunkRecord:
        """Stitch a chunk into the ring buffer, or what is left of it.

        Args:
            commitment: What `begin` returned.
            unified: All rows, shape (T, 200), normalized.
            joints: The same decoded, shape (T, n), [rad].
            clock: Tells the time, [ns]; asked once, when the rows can be read.
            cold: Whether the next one will be faster for a known reason: d does not follow this one's latency.

        Raises:
            PolicyError: Where the chunk is not finite or has the wrong shape; nothing of it was written.
        """
        _check(unified, joints, commitment.previous_chunk.shape, self._joint_step.shape)
        first, outcome, seam = self._stitch(commitment, unified, joints)
        now_ns = clock()
        age_s = (commitment.begun_ns - commitment.stamp_ns) / 1e9
        if not cold:
            self._estimator.observe(age_s, (now_ns - commitment.begun_ns) / 1e9, aged=commitment.aged)
        return ChunkRecord(
            commitment=commitment,
            first=first,
            dropped=first - commitment.delay,
            intact=outcome is Publication.INTACT,
            latency_ns=now_ns - commitment.stamp_ns,
            lost=outcome is Publication.REFUSED,
            seam=seam,
        )

    def _stitch(
        self, commitment: Commitment, unified: NDArray[np.float32], joints: NDArray[np.float64]
    ) -> tuple[int, Publication, float]:
        while True:
            first = stitch_row(commitment.delay, commitment.tick, self._ring.cursor)
            if first >= len(unified):
                return len(unified), Publication.REFUSED, 0.0
            rows, commands, seam = unified, joints, 0.0
            if first > commitment.delay or not self._locks:
                rows, commands, seam = self._blend(commitment, first, unified, joints)
            outcome = self._ring.publish(commitment.chunk, commitment.tick, first, rows, commands)
            if outcome is not Publication.REFUSED:
                return first, outcome, seam
            if self._ring.cursor < commitment.tick + first:
                raise RuntimeError(f"row {first} of chunk {commitment.chunk} is committed to another chunk")
            # A tick began between looking at the cursor and writing: one row fewer, try again.

    def _blend(
        self, commitment: Commitment, first: int, unified: NDArray[np.float32], joints: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
        if first > commitment.delay:
            ran, believed = self._ring.snapshot(commitment.tick + first - 1, 1)[1][0], joints[first - 1]
        else:
            # The row before the first is the committed one and not what was predicted: a policy that does not lock is
            # taken to come from there as fast as it goes on.
            ran, believed = commitment.before, 2 * joints[first] - joints[min(first + 1, len(joints) - 1)]
        shift = ran - believed
        fade = late_seam_fade(shift, self._joint_step, len(joints) - first)[:, None]
        rows, commands = unified.copy(), joints.copy()
        commands[first:] += fade * shift
        # Encoded anew, not shifted themselves: what they say may be relative to the row before.
        rows[first:] = self._encode(commands[first:], ran)
        return rows, commands, float(np.max(np.abs(shift)))


def _check(
    unified: NDArray[np.float32], joints: NDArray[np.float64], shape: tuple[int, ...], joint_shape: tuple[int, ...]
) -> None:
    if unified.shape != shape:
        raise PolicyError(f"the policy answered rows of shape {unified.shape}, expected {shape}; nothing was executed")
    if joints.shape != (shape[0], *joint_shape):
        expected = (shape[0], *joint_shape)
        raise PolicyError(
            f"decoded joint commands have shape {joints.shape}, expected {expected}; nothing was executed"
        )
    for label, values in (("unified actions", unified), ("joint commands", joints)):
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise PolicyError(
                f"the policy's {label} hold {values[row, column]} in row {row}, column {column}; the chunk was dropped"
            )
