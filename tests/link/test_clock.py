"""The driver's clock: as good as the shortest round trip, and exact on one host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unichunk.embodiments.link.clock import RoundTrip, estimate_clock

DELAYS = st.integers(0, 10**9)


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=8))
def test_the_offset_is_off_by_half_the_shortest_round_trip_at_most(offset: int, delays: list[tuple[int, int]]) -> None:
    trips, now = [], 10**16
    for there, back in delays:
        trips.append(RoundTrip(now, now + there + offset, now + there + back))
        now += there + back + 1
    clock = estimate_clock(trips)
    shortest = min(there + back for there, back in delays)
    assert clock.round_trip_ns == shortest
    # Taking an offset within the error for zero may double the error, never more.
    assert abs(clock.offset_ns - offset) <= shortest + 1
    assert clock.to_driver(clock.to_local(123)) == 123


@given(st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=8))
def test_one_clock_is_known_as_one(delays: list[tuple[int, int]]) -> None:
    trips = [RoundTrip(5, 5 + there, 5 + there + back) for there, back in delays]
    assert estimate_clock(trips).offset_ns == 0
