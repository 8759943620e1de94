"""A wall clock that is set is noticed, one that is slewed or a process that was not on is not."""

from __future__ import annotations

import itertools

from tests.evaluation.desk_bench import Clocks
from unichunk.server.evaluation.clock_jumps import APART_S, JUMP_S, ClockWatch


def test_steps_are_seen_once_and_slews_are_not() -> None:
    clocks = Clocks()
    watch = ClockWatch(clocks.mono, clocks.wall)
    assert watch.look() == 0.0
    clocks.wait(1e6)
    assert watch.look() == 0.0
    clocks.wall_s += 60.0
    assert abs(watch.look() - 60.0) < 1e-3
    assert watch.look() == 0.0
    clocks.wall_s -= 3600.0
    assert abs(watch.look() + 3600.0) < 1e-3
    # 500 ppm for a day, looked at four times a second, adds up to much more than a jump, and is none.
    for _ in range(4 * 60):
        clocks.wait(0.25)
        clocks.wall_s += 0.25 * 500e-6
        assert watch.look() == 0.0


def test_since_another_reading_of_both_clocks() -> None:
    clocks = Clocks()
    at_ns, mono_ns = clocks.wall(), round(clocks.mono() * 1e9)
    clocks.wait(100.0)
    assert ClockWatch(clocks.mono, clocks.wall).since(at_ns, mono_ns) == 0.0
    clocks.wall_s += 2 * JUMP_S
    assert abs(ClockWatch(clocks.mono, clocks.wall).since(at_ns, mono_ns) - 2 * JUMP_S) < 1e-3


def test_a_process_that_is_interrupted_between_two_readings_sees_no_jump() -> None:
    clocks = Clocks()
    # Between any two readings of the monotonic clock, more time passes than tells anything.
    slow = itertools.count(0, APART_S * 100)
    watch = ClockWatch(lambda: clocks.mono() + next(slow), clocks.wall)
    clocks.wall_s += 60.0
    assert watch.look() == 0.0
    assert watch.since(0, 0) == 0.0
