"""A robot's session with a campaign's proxy, in virtual time: whatever happens on the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.fake_proxy import LATENCY_S, FakeProxy
from tests.remote.virtual import VirtualClock
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.errors import PolicyError, PolicyLate
from unichunk.server.evaluation.robots.proxy_address import parse_proxy_address
from unichunk.server.evaluation.robots.proxy_policy import ProxyPolicy
from unichunk.server.evaluation.robots.proxy_session import SILENCE_S, ProxySession
from unichunk.server.evaluation.robots.proxy_statistics import ProxyStatistics
from unichunk.server.remote.connection import Forbidden
from unichunk.server.wire.openpi import pack

WHERE = "ws://127.0.0.1:8100/robot/arm-1"
SPEC = load_spec("so101")


class Fixture:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.proxy = FakeProxy(SPEC, self.clock)
        self.statistics = ProxyStatistics()
        self.session = ProxySession(self.proxy, WHERE, self.statistics, self.clock)

    def ask(self, tick: int, within_s: float = 0.4) -> Any:
        return self.session.ask({"tick": tick}, self.clock.now() + within_s).rows


@pytest.fixture
def there() -> Fixture:
    return Fixture()


def test_rows_of_the_tick_that_was_asked_for(there: Fixture) -> None:
    rows = there.ask(7)
    assert rows.shape == (8, 6)
    np.testing.assert_array_equal(rows[3], there.proxy.row(10))
    assert there.statistics.report()["round_trip_ms"]["p50"] == pytest.approx(1e3 * LATENCY_S, abs=1)


def test_the_first_answer_over_a_connection_is_cold(there: Fixture) -> None:
    policy = ProxyPolicy(there.proxy, WHERE, SPEC, clock=there.clock)
    assert [policy.infer({"tick": 0}).cold, policy.infer({"tick": 1}).cold] == [True, False]
    there.proxy.fates = iter([None])
    with pytest.raises(PolicyLate):
        policy.infer({"tick": 2})
    assert policy.infer({"tick": 3}).cold


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0.0, 4.0)), min_size=1, max_size=25))
def test_an_answer_is_never_taken_for_another_ones(fates: list[float | None]) -> None:
    there = Fixture()
    there.proxy.fates = iter(fates)
    answered = 0
    for tick in range(3 * len(fates)):
        try:
            rows = there.ask(tick)
        except PolicyLate:
            continue
        np.testing.assert_array_equal(rows[0], there.proxy.row(tick))
        answered += 1
    # However bad it was: once the network is well again, answers come again.
    there.proxy.fates = iter(())
    for tick in range(100, 120):
        try:
            there.ask(tick)
        except PolicyLate:
            continue
        answered += 1
        break
    else:
        pytest.fail("no answer although the network is well")


def test_a_late_answer_does_not_cost_the_connection(there: Fixture) -> None:
    there.proxy.fates = iter([1.0])
    with pytest.raises(PolicyLate, match="did not answer within"):
        there.ask(0)
    with pytest.raises(PolicyLate):
        there.ask(1)
    assert len(there.proxy.seen) == 1, "nothing is sent before the answer that is owed"
    np.testing.assert_array_equal(there.ask(2)[0], there.proxy.row(2))
    assert there.proxy.dialed == 1


def test_a_proxy_that_falls_silent_is_dialed_anew(there: Fixture) -> None:
    there.proxy.fates = iter([1e9])
    for tick in range(20):
        try:
            there.ask(tick)
        except PolicyLate:
            continue
        break
    assert there.proxy.dialed == 2
    assert tick * 0.4 == pytest.approx(SILENCE_S, abs=0.81)


def test_a_key_that_is_refused_is_not_tried_again(there: Fixture) -> None:
    there.proxy.refusal = Forbidden("the server refuses the connection (HTTP status 403)")
    for _ in range(2):
        with pytest.raises(PolicyError, match="HTTP status 403"):
            there.ask(0)
    assert there.proxy.dialed == 1


def test_nobody_there(there: Fixture) -> None:
    there.proxy.unreachable = True
    with pytest.raises(PolicyLate, match=r"cannot be reached: no answer in time; is `unichunk eval serve` running"):
        there.ask(0)
    there.proxy.unreachable = False
    there.ask(1)


def test_another_campaign_at_the_same_address(there: Fixture) -> None:
    there.ask(0)
    there.proxy.fates = iter([None])
    with pytest.raises(PolicyLate):
        there.ask(1)
    there.proxy.greeting = {**there.proxy.greeting, "rows": 4}
    with pytest.raises(PolicyError, match="another campaign's by now"):
        there.ask(2)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"bad request", "refused the observation: bad request"),
        (b"\xff\xfe", "refused the observation: no reason"),
        (pack({"error": 1}), "refused the observation"),
        (pack({"actions": np.full((8, 6), np.nan, np.float32)}), "expected finite float32"),
        (pack({"actions": np.zeros((8, 6))}), "expected finite float32"),
        (pack({"actions": np.zeros((7, 6), np.float32)}), r"rows of shape \(7, 6\), expected \(8, 6\)"),
    ],
)
def test_what_must_not_reach_a_robot(there: Fixture, answer: bytes, said: str) -> None:
    policy = ProxyPolicy(there.proxy, WHERE, SPEC, clock=there.clock)
    there.proxy.answer = lambda fields: answer
    with pytest.raises(PolicyError, match=said):
        policy.infer({"tick": 0})
    there.proxy.answer = there.proxy.rows_answer
    policy.infer({"tick": 1})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"joints": ["a"]}, "expects the joints"),
        ({"action_hz": 10}, "an action rate of 10, this robot has 20"),
        ({"cameras": ["wrist"]}, "wrist"),
        ({"rows": 0}, "no campaign's proxy"),
        ({"rows": None}, "no campaign's proxy"),
    ],
)
def test_a_campaign_for_another_robot(there: Fixture, change: dict[str, Any], said: str) -> None:
    there.proxy.greeting = {**there.proxy.greeting, **change}
    with pytest.raises(PolicyError, match=said):
        ProxyPolicy(there.proxy, WHERE, SPEC, clock=there.clock)


NO_ADDRESSES = [
    *("", "so101", "ws://h", "ws://h:1/robot", "ws://h:1/robot/", "ws://h:1/robot/a/b", "ws://h:x/robot/a"),
    *("http://h/robot/a", "zmq://h/robot/a", "ws://u@h/robot/a", "ws://h/robot/a?x=1", "ws:///robot/a"),
    "ws://h/robot/a b",
]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_no_address(text: str) -> None:
    with pytest.raises(Exception, match=r"--server .*expected ws://host:port/robot/NAME") as refused:
        parse_proxy_address(text)
    assert "\n" not in str(refused.value)


def test_an_address() -> None:
    address = parse_proxy_address("wss://lab.example:8443/robot/arm-1")
    assert (address.host, address.port, address.secure, address.policy) == ("lab.example", 8443, True, "robot/arm-1")
    assert parse_proxy_address("ws://localhost/robot/a").is_here
