"""Small mistakes that the runtime could have, to be put in one at a time. Each must be caught by the schedules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from unichunk.runtime import chunking, delay, producer
from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.guard import Guard
from unichunk.runtime.guard_bounds import AccelerationBounds
from unichunk.runtime.motion import RingMotion
from unichunk.runtime.producer import Producer
from unichunk.runtime.ring_buffer import NO_TICK, Publication, RingBuffer
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tests.runtime.fake_policy import Joints, Unified

Patch = pytest.MonkeyPatch


def stitch_one_row_early(patch: Patch) -> None:
    patch.setattr(producer, "stitch_row", lambda delay, tick, cursor: max(delay - 1, cursor + 1 - tick))


def stitch_one_row_late(patch: Patch) -> None:
    patch.setattr(producer, "stitch_row", lambda delay, tick, cursor: max(delay + 1, cursor + 1 - tick))


def stitch_over_the_row_that_runs(patch: Patch) -> None:
    patch.setattr(producer, "stitch_row", lambda delay, tick, cursor: max(delay, cursor - tick))


def stitch_ignoring_the_cursor(patch: Patch) -> None:
    patch.setattr(producer, "stitch_row", lambda delay, tick, cursor: delay)
    _publish_where_asked(patch)


def delay_without_margin(patch: Patch) -> None:
    patch.setattr(delay, "required_delay", lambda latency, hz, margin: chunking.required_delay(latency, hz, 0))


def delay_one_tick_short(patch: Patch) -> None:
    patch.setattr(delay, "required_delay", lambda *args: max(0, chunking.required_delay(*args) - 1))


def delay_rounded_down(patch: Patch) -> None:
    patch.setattr(delay, "required_delay", lambda latency, hz, margin: int(latency * hz) + margin)


def delay_from_the_median(patch: Patch) -> None:
    def upper(values: deque[float], quantile: float) -> float:
        return max(float(np.median(values)), values[-1])

    patch.setattr(delay, "upper_quantile", upper)


def delay_that_ignores_the_newest(patch: Patch) -> None:
    patch.setattr(delay, "upper_quantile", lambda values, quantile: float(np.quantile(values, quantile)))


def delay_without_the_age(patch: Patch) -> None:
    observe = delay.DelayEstimator.observe
    patch.setattr(
        delay.DelayEstimator, "observe", lambda self, age, processing, **aged: observe(self, 0.0, processing, **aged)
    )


def delay_that_shrinks_at_once(patch: Patch) -> None:
    observe = delay.DelayEstimator.observe

    def impatient(self: delay.DelayEstimator, age: float, processing: float, **aged: bool) -> None:
        self._patience = 1
        observe(self, age, processing, **aged)

    patch.setattr(delay.DelayEstimator, "observe", impatient)


def delay_that_breaks_promises(patch: Patch) -> None:
    patch.setattr(RingBuffer, "committed_end", property(lambda self: NO_TICK))


def commit_one_row_less(patch: Patch) -> None:
    commit = RingBuffer.commit
    patch.setattr(RingBuffer, "commit", lambda self, tick, delay, out: commit(self, tick, max(0, delay - 1), out))


def commit_that_tells_the_next_rows(patch: Patch) -> None:
    commit = RingBuffer.commit

    def shifted(self: RingBuffer, tick: int, delay: int, out: Unified) -> Joints:
        before = commit(self, tick, delay, out)
        out[:-1] = out[1:].copy()
        return before

    patch.setattr(RingBuffer, "commit", shifted)


def commit_that_protects_nothing(patch: Patch) -> None:
    commit = RingBuffer.commit

    def forgetful(self: RingBuffer, tick: int, delay: int, out: Unified) -> Joints:
        before = commit(self, tick, delay, out)
        self._committed_end = NO_TICK
        return before

    patch.setattr(RingBuffer, "commit", forgetful)
    # On its own it is only a second line of defence: let the first one fail too.
    stitch_one_row_early(patch)


def commit_that_goes_on_from_the_row_after(patch: Patch) -> None:
    _commit_that_goes_on_from(patch, 1)


def commit_that_goes_on_from_a_row_too_early(patch: Patch) -> None:
    _commit_that_goes_on_from(patch, -1)


def _commit_that_goes_on_from(patch: Patch, off: int) -> None:
    commit, snapshot = RingBuffer.commit, RingBuffer.snapshot

    def another(self: RingBuffer, tick: int, delay: int, out: Unified) -> Joints:
        before = commit(self, tick, delay, out)
        rows = snapshot(self, tick + delay - 1 + off, 1)[1]
        return rows[0] if len(rows) else before

    patch.setattr(RingBuffer, "commit", another)


def chunk_that_goes_on_from_where_the_observation_was(patch: Patch) -> None:
    begin = Producer.begin

    def stale(self: Producer, stamp_ns: int, now_ns: int, **aged: bool) -> producer.Commitment:
        commitment = begin(self, stamp_ns, now_ns, **aged)
        rows = RingBuffer.snapshot(self._ring, commitment.tick, 1)[1]
        return replace(commitment, before=rows[0])

    patch.setattr(Producer, "begin", stale)


def publish_ignoring_the_cursor(patch: Patch) -> None:
    publish = RingBuffer.publish

    def blind(self: RingBuffer, *args: object) -> Publication:
        cursor, self._cursor = self._cursor, self._cursor - 2
        try:
            return publish(self, *args)
        finally:
            self._cursor = cursor

    patch.setattr(RingBuffer, "publish", blind)


def publish_that_keeps_the_old_end(patch: Patch) -> None:
    publish = RingBuffer.publish

    def short(self: RingBuffer, *args: object) -> Publication:
        end = self._end
        outcome = publish(self, *args)
        self._end = end
        return outcome

    patch.setattr(RingBuffer, "publish", short)


def publish_one_tick_late(patch: Patch) -> None:
    publish = RingBuffer.publish

    def late(self: RingBuffer, chunk: int, tick: int, first: int, unified: Unified, joints: Joints) -> Publication:
        return publish(self, chunk, tick, first, np.roll(unified, 1, axis=0), np.roll(joints, 1, axis=0))

    patch.setattr(RingBuffer, "publish", late)


def every_prefix_counts_as_kept(patch: Patch) -> None:
    patch.setattr(RingBuffer, "_ran", lambda self, tick, rows: True)


def a_prefix_is_judged_by_its_first_row(patch: Patch) -> None:
    ran = RingBuffer._ran
    patch.setattr(RingBuffer, "_ran", lambda self, tick, rows: ran(self, tick, rows[:1]))


def underrun_that_repeats_the_row_before(patch: Patch) -> None:
    fill_to = RingBuffer._fill_to

    def stale(self: RingBuffer, end: int) -> None:
        begun = self._end
        fill_to(self, end)
        for tick in range(begun, self._end):
            for rows in (self._unified, self._joints):
                rows[tick % self._capacity] = rows[(tick - 3) % self._capacity]

    patch.setattr(RingBuffer, "_fill_to", stale)


def underrun_that_passes_for_a_policy_row(patch: Patch) -> None:
    fill_to = RingBuffer._fill_to

    def disguised(self: RingBuffer, end: int) -> None:
        begun = self._end
        fill_to(self, end)
        self._chunk[np.arange(begun, self._end) % self._capacity] = 0

    patch.setattr(RingBuffer, "_fill_to", disguised)


def fallback_that_goes_on(patch: Patch) -> None:
    def extend(self: HoldFallback, unified: Unified, joints: Joints, new_unified: Unified, new_joints: Joints) -> None:
        new_unified[:] = unified
        new_joints[:] = joints + 0.01

    patch.setattr(HoldFallback, "extend", extend)


def hold_that_repeats_the_last_change(patch: Patch) -> None:
    def extend(self: HoldFallback, unified: Unified, joints: Joints, new_unified: Unified, new_joints: Joints) -> None:
        new_unified[:] = unified
        new_joints[:] = joints

    patch.setattr(HoldFallback, "extend", extend)


def seam_whose_unified_rows_are_shifted_too(patch: Patch) -> None:
    blend = Producer._blend

    def shifted(self: Producer, commitment: object, first: int, unified: Unified, joints: Joints) -> object:
        rows, commands, seam = blend(self, commitment, first, unified, joints)
        ran = RingBuffer.snapshot(self._ring, commitment.tick + first - 1, 1)[0][0]
        fade = np.linspace(1.0, 0.0, len(rows) - first)[:, None]
        rows[first:] = unified[first:] + fade * (ran - unified[first - 1])
        return rows, commands, seam

    patch.setattr(Producer, "_blend", shifted)


def seam_encoded_after_the_chunks_own_row(patch: Patch) -> None:
    build = Producer.__init__

    def changed(self: Producer, *args: object, **kwargs: object) -> None:
        build(self, *args, **kwargs)
        encode = self._encode
        self._encode = lambda joints, before: encode(joints, joints[0])

    patch.setattr(Producer, "__init__", changed)


def seam_without_blend(patch: Patch) -> None:
    patch.setattr(producer, "late_seam_fade", lambda shift, step, rows: np.zeros(rows))


def seam_whose_shift_stays(patch: Patch) -> None:
    patch.setattr(producer, "late_seam_fade", lambda shift, step, rows: np.ones(rows))


def seam_measured_a_row_off(patch: Patch) -> None:
    blend = Producer._blend

    def off(self: Producer, commitment: object, first: int, unified: Unified, joints: Joints) -> object:
        return blend(self, commitment, first, np.roll(unified, -1, axis=0), np.roll(joints, -1, axis=0))

    patch.setattr(Producer, "_blend", off)


def motion_that_reads_the_tick_before(patch: Patch) -> None:
    open_tick = RingMotion._open

    def behind(self: RingMotion, tick: int) -> None:
        open_tick(self, tick - 1)
        self._tick = tick

    patch.setattr(RingMotion, "_open", behind)


def motion_without_spline(patch: Patch) -> None:
    patch.setattr("unichunk.runtime.motion.weights", lambda phase: (0.0, 1.0 - phase, phase))


def motion_that_counts_no_violations(patch: Patch) -> None:
    open_tick = RingMotion._open

    def silent(self: RingMotion, tick: int) -> None:
        before = self.violations
        open_tick(self, tick)
        self.violations = before

    patch.setattr(RingMotion, "_open", silent)


def ticks_that_begin_late(patch: Patch) -> None:
    tick_of_step = Timebase.tick_of_step
    patch.setattr(Timebase, "tick_of_step", lambda self, step: tick_of_step(self, step - 1))


def guard_without_acceleration(patch: Patch) -> None:
    _with_acceleration(patch, 1e6)


def guard_with_twice_the_acceleration(patch: Patch) -> None:
    _with_acceleration(patch, 2.0)


def guard_without_jerk(patch: Patch) -> None:
    _with_guard(patch, lambda guard: setattr(guard._bounds, "reach", np.full_like(guard._bounds.reach, np.inf)))


def guard_that_takes_acceleration_back_too_late(patch: Patch) -> None:
    speeds = AccelerationBounds.evaluate

    def eager(self: AccelerationBounds, velocity: Joints, acceleration: Joints) -> None:
        speeds(self, velocity, acceleration)
        np.copyto(self.low, np.maximum(-self._limits.acceleration, acceleration - self.reach))
        np.copyto(self.high, np.minimum(self._limits.acceleration, acceleration + self.reach))

    patch.setattr(AccelerationBounds, "evaluate", eager)


def guard_that_forgets_its_acceleration(patch: Patch) -> None:
    remember = Guard._remember

    def forgetful(self: Guard) -> None:
        remember(self)
        self._acceleration[:] = 0.0

    patch.setattr(Guard, "_remember", forgetful)


def guard_that_lands_as_soon_as_it_can_touch(patch: Patch) -> None:
    """Takes a target bit by bit wherever jerk and acceleration allow it, whatever comes after."""

    def greedy(self: Guard) -> None:
        change = np.abs(self._direct - self._acceleration)
        self._passes[:] = (change <= self._bounds.reach) & (np.abs(self._direct) <= self._limits.acceleration)

    patch.setattr(Guard, "_judge", greedy)


def guard_that_passes_everything(patch: Patch) -> None:
    def let_through(self: Guard, target: Joints) -> bool:
        self._command[:] = target
        return False

    patch.setattr(Guard, "filter", let_through)


def guard_that_brakes_too_late(patch: Patch) -> None:
    distances = AccelerationBounds.distances

    def late(self: AccelerationBounds, q: Joints) -> None:
        distances(self, q)
        self._distances *= 2.0

    patch.setattr(AccelerationBounds, "distances", late)


def guard_that_hides_its_corrections(patch: Patch) -> None:
    follow = Guard.filter

    def quiet(self: Guard, target: Joints) -> bool:
        changed = follow(self, target)
        self._correction[:] = 0.0
        return changed

    patch.setattr(Guard, "filter", quiet)


def _with_acceleration(patch: Patch, factor: float) -> None:
    def change(guard: Guard) -> None:
        limits = guard._bounds._limits
        guard._bounds._limits = replace(limits, acceleration=factor * limits.acceleration)

    _with_guard(patch, change)


def _with_guard(patch: Patch, change: Callable[[Guard], None]) -> None:
    build = Guard.__init__

    def changed(self: Guard, *args: object) -> None:
        build(self, *args)
        change(self)

    patch.setattr(Guard, "__init__", changed)


def _publish_where_asked(patch: Patch) -> None:
    publish = RingBuffer.publish

    def blind(self: RingBuffer, *args: object) -> Publication:
        cursor, committed_end = self._cursor, self._committed_end
        self._cursor = self._committed_end = NO_TICK + 1
        try:
            return publish(self, *args)
        finally:
            self._cursor, self._committed_end = cursor, committed_end

    patch.setattr(RingBuffer, "publish", blind)


MUTATIONS: Final = [
    stitch_one_row_early,
    stitch_one_row_late,
    stitch_over_the_row_that_runs,
    stitch_ignoring_the_cursor,
    delay_without_margin,
    delay_one_tick_short,
    delay_rounded_down,
    delay_from_the_median,
    delay_that_ignores_the_newest,
    delay_without_the_age,
    delay_that_shrinks_at_once,
    delay_that_breaks_promises,
    commit_one_row_less,
    commit_that_tells_the_next_rows,
    commit_that_protects_nothing,
    commit_that_goes_on_from_the_row_after,
    commit_that_goes_on_from_a_row_too_early,
    chunk_that_goes_on_from_where_the_observation_was,
    publish_ignoring_the_cursor,
    publish_that_keeps_the_old_end,
    publish_one_tick_late,
    every_prefix_counts_as_kept,
    a_prefix_is_judged_by_its_first_row,
    underrun_that_repeats_the_row_before,
    underrun_that_passes_for_a_policy_row,
    fallback_that_goes_on,
    hold_that_repeats_the_last_change,
    seam_whose_unified_rows_are_shifted_too,
    seam_encoded_after_the_chunks_own_row,
    seam_without_blend,
    seam_whose_shift_stays,
    seam_measured_a_row_off,
    motion_that_reads_the_tick_before,
    motion_without_spline,
    motion_that_counts_no_violations,
    ticks_that_begin_late,
    guard_without_acceleration,
    guard_with_twice_the_acceleration,
    guard_without_jerk,
    guard_that_takes_acceleration_back_too_late,
    guard_that_forgets_its_acceleration,
    guard_that_lands_as_soon_as_it_can_touch,
    guard_that_passes_everything,
    guard_that_brakes_too_late,
    guard_that_hides_its_corrections,
]
