"""The design's invariants on thousands of random schedules, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings

from tests.runtime.ring_model import Tally
from tests.runtime.schedule import RATES, Schedule, fixed_schedules
from tests.runtime.schedule_checker import check_schedule
from tests.runtime.schedule_strategies import covered_schedules, schedules

pytestmark = pytest.mark.timeout(300)

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(SLOW, max_examples=150)
@given(schedules())
def test_anything_may_happen(schedule: Schedule) -> None:
    tally = check_schedule(schedule)
    for what in ("late", "lost", "violations", "underruns", "retries", "broken", "covered_runs"):
        if getattr(tally, what):
            event(f"had {what}")


@settings(SLOW, max_examples=100)
@given(covered_schedules())
def test_a_delay_that_covers_leaves_no_underrun_and_no_violation(schedule: Schedule) -> None:
    tally = check_schedule(schedule)
    assert tally.covered_runs == 1
    assert (tally.underruns, tally.violations, tally.late) == (0, 0, 0)


@settings(SLOW, max_examples=40)
@given(schedules(RATES, 400))
def test_at_the_rates_of_real_robots(schedule: Schedule) -> None:
    check_schedule(schedule)


@settings(SLOW, max_examples=20)
@given(covered_schedules(RATES, 400))
def test_covered_at_the_rates_of_real_robots(schedule: Schedule) -> None:
    assert check_schedule(schedule).underruns == 0


def test_the_ring_wraps_over_hundreds_of_chunks() -> None:
    for number, schedule in enumerate(fixed_schedules(6, seed=3)):
        fast = replace(
            schedule, action_hz=20, command_hz=20, ticks=500, latencies=(700, 1100, 400), gaps=(0,), faults=(False,),
            camera_period=300, camera_lateness=(0,), spare=number,
        )  # fmt: skip
        tally = check_schedule(fast)
        assert tally.chunks > 200
        assert tally.reads > 15 * (2 * fast.chunk_length + fast.spare) // 2


def test_fixed_schedules_see_everything() -> None:
    total = Tally()
    schedules = fixed_schedules(150, steps=50, seed=1)
    for schedule in schedules:
        total += check_schedule(schedule)
    assert min(total.late, total.lost, total.violations, total.underruns, total.retries, total.broken) > 20, total
