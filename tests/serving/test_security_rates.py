"""Rate limits against simple models, in virtual time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.rate_limits import (
    Connections,
    FailedAttempts,
    Rate,
    TenantLimits,
    TokenBucket,
    address_group,
)

RATES = st.builds(Rate, st.floats(0.1, 1000), st.floats(0.5, 1000))
STEPS = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 2000)), max_size=60)
EPS = 1e-6


@settings(deadline=None)
@given(RATES, STEPS)
def test_no_stretch_of_time_lets_more_through_than_the_rate(rate: Rate, steps: list[tuple[float, float]]) -> None:
    bucket, now, taken = TokenBucket(rate, 0.0), 0.0, []
    for pause, amount in steps:
        now += pause
        if bucket.take(amount, now) == 0:
            taken.append((now, amount))
    for i, (begin, _) in enumerate(taken):
        total = excess = 0.0
        for then, amount in taken[i:]:
            total += amount
            excess = max(excess, amount - rate.burst)
            allowed = rate.burst + rate.per_s * (then - begin) + max(excess, 0.0)
            assert total <= allowed * (1 + EPS) + EPS


@settings(deadline=None)
@given(RATES, STEPS)
def test_after_the_wait_it_passes_and_not_much_before(rate: Rate, steps: list[tuple[float, float]]) -> None:
    bucket, now = TokenBucket(rate, 0.0), 0.0
    for pause, amount in steps:
        now += pause
        wait = bucket.take(amount, now)
        if wait > 1e-3:
            assert bucket.wait_s(amount, now + wait * 0.99) > 0
            now += wait * (1 + EPS) + EPS
            assert bucket.take(amount, now) == 0


@settings(deadline=None)
@given(RATES, st.floats(0, 100))
def test_a_refused_amount_takes_nothing_and_time_that_goes_back_adds_nothing(rate: Rate, back: float) -> None:
    bucket = TokenBucket(rate, 100.0)
    assert bucket.take(rate.burst, 100.0) == 0
    first = bucket.take(rate.burst, 100.0)
    assert first > 0
    assert bucket.take(rate.burst, 100.0) == first
    assert bucket.wait_s(rate.burst, 100.0 - back) == first


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1), (1, float("inf"))])
def test_a_rate_that_cannot_be_meant_is_refused(per_s: float, burst: float) -> None:
    with pytest.raises(UnichunkError, match="positive"):
        Rate(per_s, burst)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 50), st.floats(0, 1)), max_size=100))
def test_tenants_have_buckets_of_their_own_and_take_both_or_neither(steps: list[tuple[str, int, float]]) -> None:
    requests, sent = Rate(2, 3), Rate(20, 40)
    limits = TenantLimits(requests, sent)
    models = {name: (TokenBucket(requests, 0.0), TokenBucket(sent, 0.0)) for name in "abcdefgh"}
    now = 0.0
    for tenant, size, pause in steps:
        now += pause
        one, many = models[tenant]
        wait = max(one.wait_s(1, now), many.wait_s(size, now))
        if wait == 0:
            one.take(1, now)
            many.take(size, now)
        # A bucket that is made later is as full as one that was there from the beginning.
        assert limits.take(tenant, size, now) == pytest.approx(wait)


def test_without_rates_all_passes_and_nothing_is_kept() -> None:
    limits = TenantLimits(None, None)
    assert [limits.take(str(i), 1 << 30, 0.0) for i in range(100)] == [0.0] * 100
    assert len(limits) == 0


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=200))
def test_tenants_that_are_remembered_are_bounded(tenants: list[str]) -> None:
    limits = TenantLimits(Rate(1, 1), None, capacity=8)
    for tenant in tenants:
        limits.take(tenant, 0, 0.0)
        assert len(limits) <= 8
        assert limits.take(tenant, 0, 0.0) > 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=200))
def test_connections_are_counted_like_a_multiset(steps: list[tuple[bool, str]]) -> None:
    connections, model = Connections(5, 3), Counter[str]()
    for enters, tenant in steps:
        if enters:
            fits = model.total() < 5 and model[tenant] < 3
            assert connections.enter(tenant) == fits
            model[tenant] += fits
        else:
            connections.leave(tenant)
            model[tenant] -= model[tenant] > 0
        assert len(connections) == model.total()
        assert all(connections.of(name) == model[name] for name in "abc")
        assert set(connections._open) == set(+model)


def test_wrong_keys_are_answered_less_and_less_often_and_forgotten_in_the_end() -> None:
    attempts = FailedAttempts(free=3, first_s=1, longest_s=8, forget_s=100)
    now, answered = 0.0, []
    while now < 60:
        if attempts.failed("192.0.2.1", now) == 0:
            answered.append(now)
        now += 0.5
    assert answered == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 40.0, 48.0, 56.0]
    assert attempts.wait_s("192.0.2.1", now) > 0
    assert attempts.wait_s("192.0.2.2", now) == 0
    assert [attempts.failed("192.0.2.1", now + 200) for _ in range(4)] == [0, 0, 0, 1.0]


def test_a_right_key_ends_the_wait() -> None:
    attempts = FailedAttempts(free=1, first_s=10)
    attempts.failed("192.0.2.1", 0.0)
    assert attempts.failed("192.0.2.1", 0.0) > 0
    attempts.succeeded("192.0.2.1")
    assert attempts.failed("192.0.2.1", 0.0) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 100)), max_size=300))
def test_addresses_that_are_remembered_are_bounded_and_waits_too(steps: list[tuple[int, float]]) -> None:
    attempts, now = FailedAttempts(free=1, first_s=1, longest_s=30, capacity=16), 0.0
    for host, pause in steps:
        now += pause
        assert 0 <= attempts.failed(f"192.0.2.{host}", now) <= 30
        assert 0 <= attempts.wait_s(f"192.0.2.{host}", now) <= 30
        assert len(attempts) <= 16


def test_very_many_failures_keep_the_longest_wait() -> None:
    attempts, now = FailedAttempts(free=0, longest_s=5), 0.0
    for _ in range(3000):
        assert attempts.failed("a", now) == 0
        now += 5
    assert attempts.wait_s("a", now - 1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 1000, "x" * 64),
    ],
)
def test_a_network_of_one_host_is_one_address(address: str, group: str) -> None:
    assert address_group(address) == group
