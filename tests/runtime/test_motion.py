"""Targets between rows, and the ramp to the first of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.fake_policy import encode
from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.guard import Guard
from unichunk.runtime.interpolation import MovingAverage, smoothing_steps, weights
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.motion import Hold, Ramp, RingMotion
from unichunk.runtime.ring_buffer import RingBuffer
from unichunk.runtime.tick_status import TickStatus
from unichunk.runtime.ticks import Timebase

RATES = [(20, 100), (20, 20), (50, 250), (30, 250), (15, 1000), (30, 50)]
PHASES = st.floats(0, 1)


@given(PHASES)
def test_weights_are_convex(phase: float) -> None:
    assert min(weights(phase)) >= 0.0
    assert sum(weights(phase)) == pytest.approx(1.0, abs=1e-15)


def test_position_and_velocity_are_continuous_across_ticks() -> None:
    rows = np.random.default_rng(1).uniform(-1, 1, 4)
    end, start = weights(1.0), weights(0.0)
    assert rows[:3] @ end == pytest.approx(rows[1:] @ start, abs=1e-15)
    e = 1e-6
    before = rows[:3] @ (np.array(weights(1.0)) - weights(1.0 - e)) / e
    after = rows[1:] @ (np.array(weights(e)) - weights(0.0)) / e
    assert before == pytest.approx(after, abs=1e-5)


def follow(rows: np.ndarray, action_hz: int, command_hz: int, smoothing: int = 1) -> np.ndarray:
    """Targets while a ring buffer's rows (m, n) run."""
    ticks, n = rows.shape
    ring = RingBuffer(2 * ticks, ticks, n, HoldFallback())
    ring.start(0, 1, encode(rows[:1], rows[0])[0], rows[0])
    ring.publish(0, 0, 1, encode(rows, rows[0]), rows)
    motion = RingMotion(ring, Timebase(0, action_hz, command_hz), 0, rows[0], smoothing)
    targets = np.zeros((ticks * command_hz // action_hz, n))
    for step, target in enumerate(targets):
        assert motion.sample(step, target) is (TickStatus.RUNNING if motion.seam_chunk == 0 else TickStatus.SEEDED)
    return targets


@pytest.mark.parametrize(("action_hz", "command_hz"), RATES)
def test_uniform_rows_become_a_uniform_motion(action_hz: int, command_hz: int) -> None:
    rows = np.linspace(0.0, 1.0, 31)[:, None] * [1.0, -2.0]
    targets = follow(rows, action_hz, command_hz)
    settled = targets[3 * command_hz // action_hz + 1 :]
    steps = np.diff(settled, axis=0)
    assert np.allclose(steps, np.array([1.0, -2.0]) / 30 * action_hz / command_hz, atol=1e-12)


@pytest.mark.parametrize(("action_hz", "command_hz"), RATES)
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_limits_of_the_rows_are_limits_of_the_targets(action_hz: int, command_hz: int, seed: int) -> None:
    rows = np.cumsum(np.random.default_rng(seed).uniform(-0.1, 0.1, (12, 2)), axis=0)
    targets = follow(rows, action_hz, command_hz)
    assert (targets >= rows.min(axis=0) - 1e-12).all()
    assert (targets <= rows.max(axis=0) + 1e-12).all()
    row_step = np.abs(np.diff(rows, axis=0)).max(axis=0)
    change = np.diff(targets, axis=0)
    assert (np.abs(change) <= row_step * action_hz / command_hz + 1e-12).all()
    bend = np.abs(np.diff(rows, 2, axis=0)).max(axis=0, initial=row_step.max())
    assert (np.abs(np.diff(change, axis=0)) <= bend * (action_hz / command_hz) ** 2 + 1e-12).all()


@pytest.mark.parametrize(("action_hz", "command_hz", "jerk"), [(15, 1000, 5000.0), (20, 100, 800.0), (30, 250, 2e3)])
def test_smoothed_rows_respect_jerk_and_stay_in_their_hull(action_hz: int, command_hz: int, jerk: float) -> None:
    """Rows whose second differences use all of the acceleration: the guard has nothing to do."""
    push, random = 10.0, np.random.default_rng(1)
    limits = JointLimits.of(["a", "b"], [-50.0] * 2, [50.0] * 2, [30.0] * 2, [push, push], [jerk, np.inf])
    bends = random.choice([-push, push], (30, 2))
    bends[:, 1] = np.clip(bends[:, 1], -0.1 * push, 0.1 * push)
    rows = np.cumsum(np.cumsum(bends, axis=0), axis=0) / action_hz**2
    steps = smoothing_steps(limits, command_hz)
    assert steps == int(np.ceil(2 * push / jerk * command_hz - 1e-9))
    targets = follow(rows, action_hz, command_hz, steps)
    assert (targets >= rows.min(axis=0) - 1e-12).all()
    assert (targets <= rows.max(axis=0) + 1e-12).all()
    settled = targets[4 * command_hz // action_hz + steps :]
    third = np.abs(np.diff(settled, 3, axis=0)).max(axis=0) * command_hz**3
    assert third[0] <= jerk * (1 + 1e-6)
    assert steps == 1 or np.abs(np.diff(follow(rows, action_hz, command_hz), 3, axis=0)).max() * command_hz**3 > jerk
    guard = Guard(limits, command_hz)
    guard.reset(rows[0])
    changed = [guard.filter(target) for target in targets]
    assert not any(changed[-len(changed) // 2 :])


def test_a_smoothed_row_that_repeats_is_reached_bit_by_bit_and_lags_by_half_the_window() -> None:
    average, target = MovingAverage(7, np.array([0.3])), np.zeros(1)
    for _ in range(7):
        target[:] = 0.7123
        average.smooth(target)
    assert target[0] == 0.7123
    for i in range(20):
        target[:] = 0.7123 + 0.01 * (i + 1)
        average.smooth(target)
    assert target[0] == pytest.approx(0.7123 + 0.01 * (20 - 3), abs=1e-15)


def test_a_moving_average_does_not_drift() -> None:
    average, target, random = MovingAverage(5, np.zeros(1)), np.zeros(1), np.random.default_rng(0)
    for value in random.uniform(-1e6, 1e6, 2000):
        target[:] = value
        average.smooth(target)
    for _ in range(5):
        target[:] = 1e-6
        average.smooth(target)
    assert target[0] == 1e-6


def test_without_a_limit_of_jerk_nothing_is_smoothed() -> None:
    assert smoothing_steps(JointLimits.of(["a"], [-1], [1], [3], [38]), 1000) == 1
    target = np.array([0.4])
    MovingAverage(1, np.zeros(1)).smooth(target)
    assert target[0] == 0.4


def test_a_row_that_repeats_is_reached_exactly() -> None:
    rows = np.array([[0.0], [0.7], [0.7], [0.7], [0.7]])
    assert follow(rows, 20, 100)[-1, 0] == pytest.approx(0.7, abs=1e-15)


def test_until_the_first_tick_the_resting_row_is_the_target() -> None:
    ring = RingBuffer(16, 8, 1, HoldFallback())
    ring.start(5, 2, encode(np.full((1, 1), 0.3), np.full(1, 0.3))[0], np.full(1, 0.3))
    motion = RingMotion(ring, Timebase(0, 20, 100), 5, np.full(1, 0.3))
    target = np.zeros(1)
    for step in range(25):
        assert motion.sample(step, target) is TickStatus.SEEDED
        assert target[0] == pytest.approx(0.3)
    assert (motion.ticks, ring.cursor) == (0, 4)
    motion.sample(25, target)
    assert (motion.ticks, ring.cursor) == (1, 5)


def test_missed_steps_open_every_tick_between() -> None:
    ring = RingBuffer(16, 8, 1, HoldFallback())
    ring.start(0, 2, encode(np.zeros((1, 1)), np.zeros(1))[0], np.zeros(1))
    motion = RingMotion(ring, Timebase(0, 20, 100), 0, np.zeros(1))
    assert motion.sample(30, np.zeros(1)) is TickStatus.UNDERRUN
    assert (motion.ticks, motion.underruns, ring.cursor) == (7, 5, 6)


def test_hold_has_no_target() -> None:
    target = np.full(2, 7.0)
    assert Hold().sample(3, target) is TickStatus.HOLDING
    assert (target == 7.0).all()


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(1, 5), st.floats(4, 60), st.floats(200, 1e4)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([50, 100, 250, 1000]),
)
def test_the_ramp_is_minimum_jerk_within_the_limits(joints: list[tuple[float, ...]], command_hz: int) -> None:
    start, goal, velocity, acceleration, jerk = np.array(joints).T.copy()
    ramp = Ramp(start, goal, velocity=velocity, acceleration=acceleration, jerk=jerk, command_hz=command_hz)
    n = len(start)
    names = [str(i) for i in range(n)]
    guard = Guard(JointLimits.of(names, [-2.5] * n, [2.5] * n, velocity, acceleration, jerk), command_hz)
    guard.reset(start)
    path = [start]
    while not ramp.finished:
        target = np.zeros(n)
        assert ramp.sample(0, target) is TickStatus.SYNCING
        assert not guard.filter(target), "the guard had to slow the ramp down"
        path.append(target)
    assert len(path) == ramp.steps + 1
    assert np.allclose(path[-1], goal, rtol=0, atol=1e-12)
    s = np.linspace(0, 1, len(path))[:, None]
    assert np.allclose(path, start + (goal - start) * (10 * s**3 - 15 * s**4 + 6 * s**5), atol=1e-12)
    moved = np.diff(path, axis=0) * command_hz
    assert (np.abs(moved) <= velocity + 1e-9).all()
    assert (np.abs(np.diff(moved, axis=0)) * command_hz <= acceleration + 1e-6).all()
    third = np.diff([start, start, *path], 3, axis=0) * command_hz**3
    assert (np.abs(third) <= jerk + 1e-5).all()
    ramp.sample(0, target)
    assert np.allclose(target, goal, atol=1e-12), "after its end the ramp stays at the goal"
