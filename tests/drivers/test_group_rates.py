"""Groups with rates of their own: how often and how evenly they are due, and what they are given."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.drivers.fake_device import FakeDevice
from tests.drivers.serving import eventually, serve
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.group_rates import GroupCommands, GroupRates

RATES = st.integers(1, 1200).flatmap(lambda base: st.tuples(st.just(base), st.integers(1, base)))


@given(RATES, st.integers(0, 10**9))
def test_a_group_is_due_exactly_as_often_as_its_rate_says_in_any_second(rates: tuple[int, int], start: int) -> None:
    base, hz = rates
    due = GroupRates({"hand": hz}, base).due
    assert sum(bool(due(period)) for period in range(start, start + base)) == hz


@given(RATES)
def test_it_is_due_within_a_period_of_the_even_spacing(rates: tuple[int, int]) -> None:
    base, hz = rates
    groups = GroupRates({"hand": hz}, base)
    due = [period for period in range(2 * base) if groups.due(period)]
    assert due[0] == 0
    for number, period in enumerate(due):
        assert 0 <= period / base - number / hz < 1 / base + 1e-12


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, int, np.ndarray]:
    """A base rate, a slower one, and a stream of jerks at the base rate."""
    base, hz = draw(RATES)
    jerks = draw(st.lists(st.floats(-1.0, 1.0), min_size=40, max_size=120))
    return base, hz, np.array(jerks)


@given(streams())
def test_samples_of_a_stream_within_limits_are_within_the_same_limits(stream: tuple[int, int, np.ndarray]) -> None:
    """Differences are divided by the time between the samples, which is uneven where the rate does not divide."""
    base, hz, jerks = stream
    period = 1.0 / base
    acceleration = np.cumsum(jerks) * period
    velocity = np.cumsum(acceleration) * period
    position = np.cumsum(velocity) * period
    groups = GroupRates({"hand": hz}, base)
    due = np.array([k for k in range(len(position)) if groups.due(k)])
    differences, times = position[due], due * period
    for order, stream in enumerate((velocity, acceleration, jerks), start=1):
        # Divided differences, times the factorial: averages of the derivative of that order.
        differences = order * np.diff(differences) / (times[order:] - times[:-order])
        rounding = 1e-12 * np.abs(position).max() / period**order
        assert np.abs(differences).max(initial=0.0) <= np.abs(stream).max() * (1 + 1e-9) + rounding


def commands() -> GroupCommands:
    return GroupCommands(GroupRates({"arm": 100, "hand": 50}, 100), {"arm": [0, 1], "hand": [2]})


def test_a_group_that_is_not_due_keeps_what_it_had() -> None:
    groups = commands()
    given = []
    for period in range(5):
        groups.offer(np.full(3, float(period)))
        given.append(groups.take(period))
    assert [q.tolist() for q in given] == [[0, 0, 0], [1, 1, 0], [2, 2, 2], [3, 3, 2], [4, 4, 4]]
    assert groups.applied == {"arm": 5, "hand": 3}


def test_the_newest_set_points_get_there_even_where_no_others_come_after_them() -> None:
    groups = commands()
    groups.offer(np.zeros(3))
    groups.take(0)
    groups.offer(np.ones(3))
    assert groups.take(1).tolist() == [1, 1, 0]
    assert groups.take(2).tolist() == [1, 1, 1]
    assert groups.take(3) is None
    assert groups.take(4) is None


def test_after_a_rest_nothing_old_is_passed_on_and_the_first_set_points_go_to_all() -> None:
    groups = commands()
    groups.offer(np.zeros(3))
    groups.take(0)
    groups.offer(np.ones(3))
    groups.take(1)
    groups.clear()
    assert groups.take(2) is None
    groups.offer(np.full(3, 7.0))
    assert groups.take(3).tolist() == [7, 7, 7]


def test_what_was_passed_on_is_not_changed_afterwards() -> None:
    groups = commands()
    groups.offer(np.zeros(3))
    given = groups.take(0)
    groups.offer(np.ones(3))
    groups.take(1)
    assert given.tolist() == [0, 0, 0]


def test_a_driver_counts_what_it_hands_to_each_group(endpoint: str) -> None:
    spec = msgspec.structs.replace(load_spec("g1_o6"), watchdog_s=30.0)
    device = FakeDevice(spec)
    with serve(spec, device, endpoint) as served:
        link = served.make_link()
        link.connect()
        goal = spec.rest + 0.01

        def arrived() -> bool:
            link.commands.send(0, goal)
            many = link.control.status().counters["applied.left_hand"] > 3
            return bool(many and np.allclose(device.target, goal))

        eventually(arrived)
        counters = link.control.status().counters
    assert counters["applied.right_arm"] == counters["applied.left_arm"] >= counters["applied.right_hand"]
