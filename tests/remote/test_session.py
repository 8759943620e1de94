"""A client's session in virtual time: losses, late, doubled and reordered answers, outages, resumes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from tests.remote.bundles import tiny_policy
from tests.remote.model_server import ModelServer, chunk_for, said
from tests.remote.virtual import VirtualClock, VirtualNetwork
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.errors import ObservationError, PolicyError, PolicyLate
from unichunk.runtime.policy.manifest import MeanStd
from unichunk.server.remote.connection import CONNECT_S
from unichunk.server.remote.remote_policy import RemotePolicy
from unichunk.server.remote.session import WELCOME_S
from unichunk.server.wire.lean import Cancel, Hello, Infer, Inferred, NeedAll, Pong, Refused, Timing

ROBOT = "so101"
WITHIN_S = 1.0


class World:
    """A server, a network, a clock, and a policy over them."""

    def __init__(self, noise: str = "own", *, served_guided: bool = False, **options: Any) -> None:
        self.manifest = tiny_policy(noise).manifest
        self.server = ModelServer(self.manifest, ROBOT)
        self.server.guided = served_guided
        self.clock = VirtualClock()
        self.delays: list[list[float]] = []
        self.network = VirtualNetwork(self.server, self.clock, self._fate)
        options = {"answer_within_s": WITHIN_S, "first_s": WITHIN_S, "seed": 5, **options}
        self.policy = RemotePolicy("zmq://robot.test", ROBOT, dialer=self.network, clock=self.clock, **options)
        self.asked = 0
        size = self.manifest.image.size
        cameras = self.manifest.robots[ROBOT].cameras
        self.observation: dict[str, Any] = {f"video.{name}": np.zeros((size, size, 3), np.uint8) for name in cameras}
        self.observation |= {"language.instruction": "go", "state.joints": np.zeros(5, np.float32)}

    def _fate(self) -> list[float]:
        return self.delays.pop(0) if self.delays else [0.02]

    def infer(self, locked: int = 0) -> tuple[Any, np.ndarray]:
        """A chunk, and what it must be."""
        number, self.asked = self.asked, self.asked + 1
        previous = np.zeros((8, 200), np.float32)
        previous[:, 7] = 3.5
        previous[:, 150] = np.arange(8)
        expected = chunk_for(
            self.manifest, ROBOT, previous[:locked], said(self.observation, (5, number), self.manifest)
        )
        return self.policy.infer(self.observation, previous, locked), expected


def is_right(world: World, locked: int = 0) -> bool:
    """Whether there is a chunk; if there is, it is the right one."""
    try:
        result, expected = world.infer(locked)
    except PolicyLate:
        return False
    np.testing.assert_array_equal(result.unified, expected)
    return True


def test_only_what_changes_travels() -> None:
    world = World()
    for _ in range(3):
        assert is_right(world, 2)
    infers = [request for request in world.server.seen if isinstance(request, Infer)]
    assert [sorted(infer.fields) for infer in infers] == [sorted(world.observation), [], []]
    world.observation["language.instruction"] = "stop"
    del world.observation["state.joints"]
    assert is_right(world)
    last = world.server.seen[-1]
    assert (list(last.fields), last.removed, last.base) == (["language.instruction"], ("state.joints",), infers[-1].id)
    assert [infer.number for infer in infers] == [0, 1, 2]
    assert world.policy.statistics.resent == 0


FATES = st.sampled_from([[0.02], [0.02], [0.02], [0.3], [], [1.5], [0.02, 0.02], [0.4, 0.01], [0.9, 3.0]])
EVENTS = st.sampled_from(
    ["ask", "ask", "ask", "change", "outage", "long outage", "reset", "restart", "stall", "pause", "busy", "session"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.lists(FATES, max_size=4), st.integers(0, 8)), max_size=12))
def test_whatever_happens_a_chunk_is_the_right_one_or_late(events: list[tuple[str, list[list[float]], int]]) -> None:
    world = World()
    busy = Refused(id=0, kind="busy", reason="full: come back", retry_after_s=0.2)
    longest = WITHIN_S + WELCOME_S + CONNECT_S + 0.2
    for event, fates, number in events:
        network = world.network
        if event == "change":
            world.observation["state.joints"] = np.full(5, number, np.float32)
            world.observation[f"extra{number}"] = "x"
        elif event in {"outage", "long outage"}:
            network.down_until = world.clock.now() + (0.7 if event == "outage" else 10.0)
        elif event == "reset":
            network.reset |= set(range(network.dialed + 1))
        elif event == "restart":
            network.reset |= set(range(network.dialed + 1))
            world.server.forget()
        elif event == "stall":
            network.dead |= set(range(network.dialed + 1))
        elif event == "pause":
            world.clock.sleep(30.0)
        elif event == "busy":
            world.server.refuse = [busy] * (number % 3)
        elif event == "session":
            world.server.forget()
        world.delays = list(fates)
        began = world.clock.now()
        is_right(world, number)
        assert world.clock.now() - began <= longest
    # Once all is well again, chunks come after a bounded number of tries, and keep coming.
    world.delays, world.server.refuse, world.network.down_until = [], [], 0.0
    tries = [is_right(world, 3) for _ in range(10)]
    assert tries == sorted(tries)
    assert tries[-3:] == [True] * 3
    world.policy.close()


def test_an_outage_costs_its_length_and_little_more() -> None:
    world = World()
    for _ in range(5):
        assert is_right(world)
    begun = world.clock.now()
    world.network.down_until = begun + 10.0
    misses = 0
    while not is_right(world):
        misses += 1
    assert 10.0 < world.clock.now() - begun < 10.0 + CONNECT_S + 0.2
    assert 2 <= misses <= 12
    assert world.policy.statistics.connections == 2
    assert world.policy.statistics.resumed == 1


def test_answers_over_a_new_connection_are_cold() -> None:
    world = World()
    assert [world.infer()[0].cold for _ in range(3)] == [True, False, False]
    world.network.reset.add(1)
    assert world.infer()[0].cold
    assert not world.infer()[0].cold
    world.server._sessions.clear()
    assert not is_right(world)
    assert world.infer()[0].cold


def test_a_slow_server_is_not_hung_up_on() -> None:
    world = World(answer_within_s=20.0)
    assert is_right(world)
    assert is_right(world)
    world.server.slow = True
    assert not is_right(world)
    assert world.network.dialed == 1
    assert isinstance(world.server.seen[-1], Cancel)
    world.server.slow = False
    assert is_right(world)
    world.server.silent = True
    begun = world.clock.now()
    assert not is_right(world)
    assert world.network.dialed > 1
    assert world.clock.now() - begun < 25.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_a_server_that_talks_nonsense_is_hung_up_on(junk: list[bytes]) -> None:
    world = World()
    assert is_right(world)
    world.server.junk = junk
    for _ in range(2):
        is_right(world)
    world.server.junk = []
    assert [is_right(world) for _ in range(4)][-2:] == [True, True]


def test_an_answer_to_nobody_is_nobodys() -> None:
    world = World()
    assert is_right(world)
    world.server.junk = [encode(Inferred(**{**vars_of(world), "id": 7})), encode(Pong(id=3)), encode(NeedAll(id=9))]
    assert is_right(world)
    assert world.policy.statistics.late == 1


def vars_of(world: World) -> dict[str, Any]:
    rows = np.zeros((8, 6), np.float32)
    return {"digest": "d1", "unified": rows, "gates": None, "discrepancies": None, "timing": Timing()}


def test_late_answers_are_dropped() -> None:
    world = World()
    assert is_right(world)
    world.delays = [[0.0], [1.2]]
    assert not is_right(world)
    world.clock.sleep(0.3)
    for _ in range(3):
        world.observation["state.joints"] = world.observation["state.joints"] + 1
        assert is_right(world)
    statistics = world.policy.statistics
    assert (statistics.late, statistics.unanswered, statistics.answers) == (1, 1, 4)
    report = statistics.report()
    assert report["late_answers_dropped"] == 1
    assert 19.9 < report["round_trip_ms"]["p50"] < 20.2


@pytest.mark.parametrize("kind", ["busy", "rate", "late", "draining"])
def test_refusals_that_pass(kind: Any) -> None:
    world = World()
    assert is_right(world)
    world.server.refuse = [Refused(id=0, kind=kind, reason="not now", retry_after_s=0.3)]
    begun = world.clock.now()
    with refused(PolicyLate, "the policy server at zmq://robot.test: not now"):
        world.infer()
    assert 0.3 < world.clock.now() - begun < 0.4
    assert is_right(world)
    assert world.policy.statistics.report()["refused"] == {kind: 1}


@pytest.mark.parametrize("kind", ["key", "bundle"])
def test_refusals_that_stay(kind: Any) -> None:
    world = World()
    world.server.refuse = [Refused(id=0, kind=kind, reason="your key was revoked")]
    for _ in range(2):
        with refused(PolicyError, "the policy server at zmq://robot.test: your key was revoked"):
            world.infer()
    assert world.network.dialed == 1


def test_an_observation_that_does_not_fit() -> None:
    world = World()
    world.server.refuse = [Refused(id=0, kind="observation", reason="state.gripper: missing from the observation")]
    with refused(ObservationError, "state.gripper: missing"):
        world.infer()
    assert is_right(world)
    world.server.refuse = [Refused(id=0, kind="policy", reason="the policy failed (ZeroDivisionError)")]
    with refused(PolicyError, "the policy failed"):
        world.infer()
    with refused(ObservationError, "state.x: cannot send a object"):
        world.policy.infer({**world.observation, "state.x": object()})
    with refused(ObservationError, "0 to 8 rows"):
        world.policy.infer(world.observation, np.zeros((8, 200), np.float32), 9)
    with refused(ObservationError, "shape (1 to 8, 200)"):
        world.policy.infer(world.observation, np.zeros((9, 200), np.float32), 1)
    with refused(ObservationError, "previous_chunk: missing"):
        world.policy.infer(world.observation, None, 1)


def test_a_server_that_lets_nobody_in() -> None:
    manifest = tiny_policy("own").manifest
    server = ModelServer(manifest, ROBOT)
    server.refuse_hello = Refused(id=0, kind="key", reason="no such key")
    clock = VirtualClock()
    network = VirtualNetwork(server, clock, lambda: [0.02])
    with refused(PolicyError, "zmq://robot.test: no such key"):
        RemotePolicy("zmq://robot.test", ROBOT, dialer=network, clock=clock)
    server.refuse_hello = Refused(id=0, kind="busy", reason="too many clients", retry_after_s=1.0)
    with refused(PolicyLate, "cannot be reached: too many clients"):
        RemotePolicy("zmq://robot.test", ROBOT, dialer=network, clock=clock, join_s=3.0)
    assert sum(isinstance(request, Hello) for request in server.seen) <= 5
    server.refuse_hello = None
    with refused(PolicyError, "'tiny' drives so101, not g1_o6"):
        RemotePolicy("zmq://robot.test", "g1_o6", dialer=network, clock=clock)


def test_another_bundle_of_the_same_meaning_goes_on_and_one_of_another_does_not() -> None:
    world = World()
    assert is_right(world, 2)
    world.server.digest = "d2"
    with refused(PolicyLate, "was replaced"):
        world.infer()
    assert is_right(world, 2)
    robot = world.manifest.robots[ROBOT]
    key = robot.action["joints"] if "joints" in robot.action else next(iter(robot.action.values()))
    assert isinstance(key.normalization, MeanStd)
    wider = msgspec.structs.replace(key.normalization, std=tuple(2 * value for value in key.normalization.std))
    name = next(name for name, value in robot.action.items() if value is key)
    other = msgspec.structs.replace(
        robot, action={**robot.action, name: msgspec.structs.replace(key, normalization=wider)}
    )
    world.server.manifest = msgspec.structs.replace(world.manifest, robots={ROBOT: other})
    world.server.digest = "d3"
    for _ in range(2):
        with refused(PolicyError, "robots.so101.action differs"):
            world.infer()


def test_whose_state_it_shall_tell_a_robot_learns_from_what_is_served_and_that_may_not_change() -> None:
    manifest = msgspec.structs.replace(tiny_policy("own").manifest, state_time="takeover")
    server, clock = ModelServer(manifest, ROBOT), VirtualClock()
    network = VirtualNetwork(server, clock, lambda: [0.02])
    policy = RemotePolicy("zmq://robot.test", ROBOT, dialer=network, clock=clock)
    assert policy.state_time == "takeover"
    server.manifest, server.digest = msgspec.structs.replace(manifest, state_time="observation"), "d2"
    with refused(PolicyError, "state_time differs"):
        policy.infer(World().observation)


@pytest.mark.parametrize("rows", [np.full((8, 6), np.nan, np.float32), np.zeros((7, 6), np.float32), np.zeros((8, 6))])
def test_a_chunk_that_must_not_reach_a_robot(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    assert is_right(world)
    monkeypatch.setattr("unichunk.server.wire.lean_rows.RowCodec.pack_chunk", lambda self, unified: rows)
    with refused(PolicyError, "answered with a bad chunk"):
        world.infer()
    monkeypatch.undo()
    assert is_right(world)


@pytest.mark.parametrize("noise", ["own", "all"])
@pytest.mark.parametrize("delay", [0, 1, 8])
def test_locked_rows_come_back_bit_by_bit(noise: str, delay: int) -> None:
    world = World(noise)
    assert is_right(world, delay)


@pytest.mark.parametrize("noise", ["own", "all"])
@pytest.mark.parametrize(("rows", "locked"), [(5, 2), (8, 0), (1, 1), (2, 4)])
def test_a_guided_policy_is_told_all_of_the_running_plan(noise: str, rows: int, locked: int) -> None:
    plan = np.random.default_rng(rows).normal(size=(rows, 200)).astype(np.float32)
    if noise == "own":
        plan[:, 100:] = 0
    told = {}
    for guided in (False, True):
        world = World(noise, served_guided=guided)
        assert world.policy.guided == guided
        result = world.policy.infer(world.observation, plan, locked)
        told[guided] = world.server.told
        kept = plan[np.minimum(np.arange(locked), rows - 1)]
        np.testing.assert_array_equal(result.unified[:locked], kept)
    if locked:
        np.testing.assert_array_equal(told[False], kept)
    else:
        assert told[False] is None
    # Rows that are committed beyond the plan that is there go on with its last row.
    np.testing.assert_array_equal(told[True], plan if rows >= locked else kept)


def test_what_a_client_asks_for_is_in_its_hello() -> None:
    asked = {option: World(guided=option).server.seen[0].guided for option in (None, True, False)}
    assert asked == {None: None, True: True, False: False}
