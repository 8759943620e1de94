"""Time as integers."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from unichunk.runtime.ticks import NANOSECONDS, Timebase

TIMEBASES = st.builds(Timebase, st.integers(0, 10**15), st.integers(1, 60), st.integers(20, 1000))
STEPS = st.integers(0, 10**8)


@given(TIMEBASES, STEPS)
def test_a_step_lies_in_its_tick(timebase: Timebase, step: int) -> None:
    exact = Fraction(step * timebase.action_hz, timebase.command_hz)
    assert timebase.tick_of_step(step) == math.floor(exact)
    assert 0.0 < timebase.phase_of_step(step) <= 1.0


@given(TIMEBASES, STEPS)
def test_phases_advance_evenly(timebase: Timebase, step: int) -> None:
    """Tick and phase together are a straight line in the step, across ticks, whatever the ratio of the rates."""
    here, there = (timebase.tick_of_step(i) + timebase.phase_of_step(i) for i in (step, step + 1))
    even = timebase.action_hz / timebase.command_hz
    assert abs(there - here - even) <= 1e-15 * max(1, timebase.tick_of_step(step)) * 4


def test_where_the_rates_divide_a_command_belongs_to_the_end_of_its_step() -> None:
    timebase = Timebase(0, 20, 100)
    assert [timebase.phase_of_step(i) for i in range(6)] == [0.2, 0.4, 0.6, 0.8, 1.0, 0.2]


@given(TIMEBASES, STEPS)
def test_a_step_is_due_at_its_first_nanosecond(timebase: Timebase, step: int) -> None:
    due_ns = timebase.start_of_step(step)
    assert timebase.step_at(due_ns) == step
    assert timebase.step_at(due_ns - 1) == step - 1
    assert timebase.tick_at(due_ns) == timebase.tick_of_step(step)
    assert 0 <= due_ns - timebase.epoch_ns - Fraction(step * NANOSECONDS, timebase.command_hz) < 1


@given(TIMEBASES, st.integers(-(10**12), 10**12))
def test_ticks_follow_the_clock(timebase: Timebase, offset: int) -> None:
    tick = timebase.tick_at(timebase.epoch_ns + offset)
    assert tick <= Fraction(offset * timebase.action_hz, NANOSECONDS) < tick + 1
