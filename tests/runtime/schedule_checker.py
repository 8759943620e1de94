"""Runs a schedule on the real core, in virtual time, and checks every invariant of the design on the way."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tests.runtime.command_checker import CommandChecker
from tests.runtime.delay_checker import DelayChecker
from tests.runtime.fake_policy import FIRST_STEP, FakePolicy, Joints, Unified, encode, hold
from tests.runtime.ring_model import RingModel, Tally, labels
from tests.runtime.seam_checker import check_late_seam
from tests.runtime.watched_ring import WatchedRing
from unichunk.runtime import delay as delay_module
from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.errors import PolicyError
from unichunk.runtime.fallback import Fallback, RampFallback
from unichunk.runtime.guard import Guard
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.motion import RingMotion
from unichunk.runtime.producer import ChunkRecord, Commitment, Producer
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.schedule import Schedule

EPOCH_NS = 1_000_000_007
FIRST_TICK = 2
SECOND = 1_000_000_000
T = TypeVar("T")


def check_schedule(schedule: Schedule) -> Tally:
    """Run a schedule to its end; fails on the first broken invariant."""
    return ScheduleRun(schedule).run()


class ScheduleRun:
    """One run: the real parts, their models, and a clock that only this class moves."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = s = schedule
        n = s.joints
        jerk = [np.inf if (s.content + i) % 2 else 500.0 for i in range(n)]
        self.limits = JointLimits.of(
            [f"joint{i}" for i in range(n)],
            [-1.2] * n,
            [1.0 + 0.1 * i for i in range(n)],
            [3.0] * n,
            [38.0] * n,
            jerk=jerk,
        )
        self.timebase = Timebase(EPOCH_NS, s.action_hz, s.command_hz)
        self.rest = np.linspace(-0.5, 0.5, n)
        self.step = self.limits.velocity / s.action_hz
        self.model = RingModel(2 * s.chunk_length + s.spare, s.chunk_length, self._continue)
        self.ring = WatchedRing(
            self.model.capacity, s.chunk_length, n, self._fallback(), self.model, self._time_passes_while_publishing
        )
        self.estimator = delay_module.DelayEstimator(s.action_hz, s.margin, window=s.window, patience=s.patience)
        self.delays = DelayChecker(self.estimator, s)
        if s.measured:
            age_s = (s.camera_period + max(s.camera_lateness)) / 1000 / s.action_hz
            self.delays.observe(age_s, s.measured / 1000 / s.action_hz)
        self.producer = Producer(
            self.ring,
            self.estimator,
            self.timebase,
            encode=encode,
            joint_step=self.step,
            minimum_postfix=s.minimum_postfix,
            trained_delay=s.trained_delay,
            chunk_length=s.chunk_length,
        )
        self.policy = FakePolicy(s.chunk_length, n, 0.5 * self.step, 1.3, smooth=s.smooth, seed=s.content)
        self.ring.start(FIRST_TICK, min(s.seeded, s.chunk_length), encode(self.rest[None], self.rest)[0], self.rest)
        self.motion = RingMotion(self.ring, self.timebase, FIRST_TICK, self.rest)
        self.commands = CommandChecker(self.limits, s.command_hz, self.rest)
        self.loop = ControlLoop(Guard(self.limits, s.command_hz), self.commands, self.timebase)
        self.loop.restart(self.rest, self.motion)
        self.now_ns = self._time(1000 * FIRST_TICK)
        self.next_step = 0
        self.chunk_ticks: dict[int, int] = {}
        self.blended: set[int] = set()
        self.all_covered = True
        self.last_frame = -1
        self._lateness = itertools.cycle(s.control_lateness)
        self._stalls = dict(s.stalls)
        self._due_ns = self._next_due()
        self._publishing = 0

    def run(self) -> Tally:
        s, tally = self.schedule, self.model.tally
        cycles = zip(*map(forever, (s.latencies, s.publishing, s.gaps, s.broken_locks, s.faults)), strict=False)
        end_ns = self._time(1000 * (FIRST_TICK + s.ticks))
        while self.now_ns < end_ns:
            self._control_until(self.now_ns)
            stamp_ns = self._observation()
            if stamp_ns is not None:
                self._infer(stamp_ns, *next(cycles))
        self._control_until(self.now_ns)
        self._check_counters()
        steady = not (s.wait_for_frame or any(s.gaps) or any(s.faults))
        if steady and self.all_covered:
            assert tally.underruns == 0, f"d covered every latency, and yet there were {tally.underruns} underruns"
            assert tally.violations == 0 or any(s.broken_locks), (
                "d covered every latency, and yet there were violations"
            )
            tally.covered_runs += 1
        return tally

    # The inference thread's side.

    def _infer(self, stamp_ns: int, latency: int, publishing: int, gap: int, broken: bool, fault: bool) -> None:
        begun_ns = self.now_ns
        promised_end = self.model.committed_end
        rows_end = self.model.end
        commitment = self.producer.begin(stamp_ns, begun_ns)
        self.delays.check_commitment(commitment, promised_end)
        last = self.model.rows[commitment.tick + commitment.delay - 1]
        assert commitment.before.tobytes() == last.joints.tobytes(), "the chunk is told to go on from another row"
        self._check_running(commitment, rows_end)
        self.all_covered &= commitment.tick + commitment.delay <= rows_end or commitment.chunk > 0
        self.chunk_ticks[commitment.chunk] = commitment.tick
        self.now_ns += self._duration(latency)
        self._control_until(self.now_ns)
        rows, joints = self.policy.answer(commitment.chunk, commitment.previous_chunk, commitment.delay, broken=broken)
        if fault:
            self._answer_nonsense(commitment, rows, joints)
        else:
            self._publishing = self._duration(publishing)
            self._finish(commitment, rows, joints, broken)
        self.now_ns += self._duration(gap)

    def _check_running(self, commitment: Commitment, rows_end: int) -> None:
        there = min(rows_end - commitment.tick, self.schedule.chunk_length)
        count = max(there, commitment.delay)
        told = 0 if commitment.running is None else len(commitment.running)
        assert told == max(0, count), f"{told} rows of the running plan are told, {count} are there or committed"
        for place in range(told):
            row = self.model.rows[commitment.tick + place]
            assert commitment.running is not None
            assert commitment.running[place].tobytes() == row.unified.tobytes(), f"row {place} is another one"

    def _answer_nonsense(self, commitment: Commitment, rows: Unified, joints: Joints) -> None:
        rows[-1, 3] = np.nan
        try:
            self.producer.finish(commitment, rows, joints, lambda: self.now_ns)
        except PolicyError:
            return
        raise AssertionError("a chunk with NaN in it was accepted")

    def _finish(self, commitment: Commitment, rows: Unified, joints: Joints, broken: bool) -> None:
        raw = rows.copy(), joints.copy()
        self.ring.written = None
        record = self.producer.finish(commitment, rows, joints, lambda: self.now_ns)
        self.delays.after_chunk(commitment, self.now_ns)
        self._check_record(record, *raw, broken)
        tally = self.model.tally
        tally.chunks += 1
        tally.late += record.dropped > 0
        tally.lost += self.ring.written is None
        tally.broken += broken

    def _check_record(self, record: ChunkRecord, raw: Unified, raw_joints: Joints, broken: bool) -> None:
        commitment, written = record.commitment, self.ring.written
        assert record.latency_ns == self.now_ns - commitment.stamp_ns
        assert record.dropped == record.first - commitment.delay
        covered = record.latency_ns * self.schedule.action_hz + SECOND <= commitment.delay * SECOND
        self.all_covered &= covered
        if covered:
            assert record.dropped == 0, f"d = {commitment.delay} covered {record.latency_ns} ns, yet the chunk was late"
        if written is None:
            assert record.first == self.schedule.chunk_length, "a chunk with rows left was not written"
            return
        assert record.first == written.first
        assert record.intact or record.dropped or broken, "a chunk in time, with its prefix locked, counts as violating"
        if record.dropped:
            self.blended.add(commitment.chunk)
            ran = self.model.executed[commitment.tick + record.first - 1]
            check_late_seam(ran, raw, raw_joints, written, self.step, record.seam)
        else:
            assert written.unified.tobytes() == raw.tobytes(), "rows in time were changed"
            assert written.joints.tobytes() == raw_joints.tobytes(), "joint rows in time were changed"

    def _time_passes_while_publishing(self) -> None:
        self.now_ns += self._publishing
        self._control_until(self.now_ns)

    def _observation(self) -> int | None:
        """Stamp of the newest frame that has arrived; None, and time goes on, where it will not do."""
        period, lateness = self.schedule.camera_period, self.schedule.camera_lateness
        frame = (self.now_ns - EPOCH_NS) * self.schedule.action_hz // (SECOND // 1000 * period)
        while frame >= 0 and self._arrival(frame) > self.now_ns:
            frame -= 1
        stamp_ns = self._time(frame * period)
        tick = self.timebase.tick_at(stamp_ns)
        newest = max(self.timebase.tick_at(self.now_ns), self.motion.ticks + FIRST_TICK)
        stale = tick < FIRST_TICK or tick <= newest - self.schedule.chunk_length
        if stale or (self.schedule.wait_for_frame and frame <= self.last_frame):
            coming = range(frame + 1, frame + 3 + max(lateness) // period)
            self.now_ns = max(self.now_ns + 1, min(self._arrival(k) for k in coming))
            return None
        self.last_frame = frame
        return stamp_ns

    def _arrival(self, frame: int) -> int:
        lateness = self.schedule.camera_lateness
        return self._time(frame * self.schedule.camera_period + lateness[frame % len(lateness)])

    # The control thread's side.

    def _control_until(self, now_ns: int) -> None:
        while self._due_ns <= now_ns:
            self._control_step(self.next_step, self._due_ns)
            self.next_step = max(self.next_step + 1, self.timebase.step_at(self._due_ns))
            self._due_ns = self._next_due()

    def _next_due(self) -> int:
        """When the next step really runs: at its deadline, a little late, or after a stall."""
        s, due_ns = self.schedule, self.timebase.start_of_step(self.next_step)
        stall = self._stalls.pop(self.next_step * s.action_hz // s.command_hz, 0)
        return due_ns + int(next(self._lateness) * SECOND / s.command_hz) + self._duration(1000 * stall)

    def _control_step(self, step: int, now_ns: int) -> None:
        s, model = self.schedule, self.model
        self.loop.step(step, self.timebase.start_of_step(step), now_ns)
        tick = max(FIRST_TICK - 1, Fraction(step * s.action_hz, s.command_hz).__floor__())
        assert model.cursor == tick, f"step {step} belongs to tick {tick}, and {model.cursor} executes"
        row = model.executed.get(tick)
        if row is not None and row.chunk >= 0 and row.chunk not in self.blended:
            own = (row.chunk, tick - self.chunk_ticks[row.chunk])
            assert labels(row.unified) == own, (
                f"tick {tick} ran row {labels(row.unified)} of the chunks, expected {own}"
            )
        rows = [model.executed[t].joints if t in model.executed else self.rest for t in (tick - 2, tick - 1, tick)]
        status = self.loop.telemetry.status
        self.commands.check(
            self.loop.guard, rows, self.timebase.phase_of_step(step), status, None if row is None else row.chunk
        )

    def _check_counters(self) -> None:
        tally, motion = self.model.tally, self.motion
        assert motion.ticks == tally.reads
        assert motion.underruns == tally.underruns, f"{motion.underruns} underruns counted, {tally.underruns} happened"
        assert motion.violations == tally.violations, f"{motion.violations} counted, {tally.violations} happened"
        assert motion.policy_ticks == tally.policy_rows
        self.commands.check_stream(self.loop.telemetry)

    # Time and the fallback.

    def _duration(self, thousandths: int) -> int:
        return thousandths * SECOND // (1000 * self.schedule.action_hz)

    def _time(self, thousandths: int) -> int:
        return EPOCH_NS + self._duration(thousandths)

    def _fallback(self) -> Fallback:
        return RampFallback(self.rest, 0.3 * self.step, encode) if self.schedule.ramp else hold(self.schedule.joints)

    def _continue(self, unified: Unified, joints: Joints) -> tuple[Unified, Joints]:
        """The fallback, written a second time."""
        if not self.schedule.ramp:
            still = unified.copy()
            still[FIRST_STEP : FIRST_STEP + self.schedule.joints] = 0
            return still, joints
        way, step = self.rest - joints, 0.3 * self.step
        following = joints + np.minimum(np.maximum(way, -step), step)
        return encode(following[None], joints)[0], following


def forever(values: tuple[T, ...]) -> Iterator[T]:
    return itertools.cycle(values)
