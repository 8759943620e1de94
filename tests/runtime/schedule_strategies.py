"""Hypothesis strategies for schedules."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.runtime.schedule import Schedule

WHOLE_STEPS = ((20, 20), (30, 50), (10, 25), (50, 75))
"""Rates with few control steps a tick, so that many ticks fit a short run."""


def cycled(values: st.SearchStrategy, most: int = 6) -> st.SearchStrategy:
    return st.lists(values, min_size=1, max_size=most).map(tuple)


def booleans_now_and_then() -> st.SearchStrategy:
    return st.one_of(st.just((False,)), cycled(st.booleans()))


@st.composite
def schedules(draw: st.DrawFn, rates: tuple[tuple[int, int], ...] = WHOLE_STEPS, steps: int = 60) -> Schedule:
    """Anything that can happen."""
    action_hz, command_hz = draw(st.sampled_from(rates))
    length = draw(st.integers(8, 32))
    usual = st.integers(200, 1000 * draw(st.integers(1, length // 2)))
    stall = st.integers(1000, 4000 * length)
    return Schedule(
        action_hz=action_hz,
        command_hz=command_hz,
        joints=draw(st.integers(1, 7)),
        chunk_length=length,
        ticks=max(4, steps * action_hz // command_hz),
        margin=draw(st.integers(1, 3)),
        window=draw(st.integers(1, 100)),
        patience=draw(st.integers(1, 10)),
        minimum_postfix=draw(st.integers(1, 4)),
        trained_delay=draw(st.integers(1, length)),
        spare=draw(st.integers(0, 2 * length)),
        seeded=draw(st.integers(1, length)),
        measured=draw(st.one_of(st.just(0), usual)),
        latencies=draw(st.one_of(cycled(usual), cycled(st.one_of(usual, usual, stall)))),
        publishing=draw(st.one_of(st.just((0,)), cycled(st.integers(0, 2500)))),
        gaps=draw(st.one_of(st.just((0,)), cycled(st.integers(0, 4000)))),
        camera_period=draw(st.integers(100, 3000)),
        camera_lateness=draw(st.one_of(st.just((0,)), cycled(st.integers(0, 4000)))),
        wait_for_frame=draw(st.booleans()),
        control_lateness=draw(cycled(st.floats(0.0, 0.95), 3)),
        stalls=tuple(draw(st.dictionaries(st.integers(0, 30), st.integers(1, length // 2), max_size=2)).items()),
        broken_locks=draw(booleans_now_and_then()),
        faults=draw(booleans_now_and_then()),
        smooth=draw(st.booleans()),
        ramp=draw(st.booleans()),
        content=draw(st.integers(0, 1 << 30)),
    )


@st.composite
def covered_schedules(draw: st.DrawFn, rates: tuple[tuple[int, int], ...] = WHOLE_STEPS, steps: int = 60) -> Schedule:
    """Latencies that never exceed what was measured before the run, and a T that covers it."""
    length = draw(st.integers(8, 32))
    period = draw(st.integers(100, 1000))
    lateness = draw(cycled(st.integers(0, 500)))
    # What is measured before the run includes the observation's age; all of it, and the margin, must fit T / 2.
    room = 1000 * (length // 2 - 1) - period - max(lateness) - 10
    longest = draw(st.integers(500, room))
    action_hz, command_hz = draw(st.sampled_from(rates))
    return Schedule(
        action_hz=action_hz,
        command_hz=command_hz,
        joints=draw(st.integers(1, 7)),
        chunk_length=length,
        ticks=max(4, steps * action_hz // command_hz),
        margin=1,
        window=draw(st.integers(2, 100)),
        patience=draw(st.integers(100, 1000)),
        minimum_postfix=draw(st.integers(1, length // 2)),
        trained_delay=length // 2,
        spare=draw(st.integers(0, 2 * length)),
        seeded=length,
        measured=longest,
        latencies=draw(cycled(st.integers(500, longest))),
        camera_period=period,
        camera_lateness=lateness,
        control_lateness=draw(cycled(st.floats(0.0, 0.95), 3)),
        stalls=tuple(draw(st.dictionaries(st.integers(0, 30), st.integers(1, length // 2), max_size=2)).items()),
        smooth=draw(st.booleans()),
        ramp=draw(st.booleans()),
        content=draw(st.integers(0, 1 << 30)),
    )
