"""A robot of ours behind a campaign's proxy: what runs is what was handed out, in virtual time and with the runtime."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.fake_proxy import LATENCY_S, FakeProxy
from tests.remote.virtual import VirtualClock
from tests.run.fake_robot import FakeRobot
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.settings import robot_settings
from unichunk.embodiments.sim.fixed_delay import FixedDelay
from unichunk.runtime.errors import PolicyLate
from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.observation import CameraFrame, Observation, RobotState
from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.producer import Producer
from unichunk.runtime.ring_buffer import RingBuffer, Row, RowStatus
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor
from unichunk.runtime.ticks import NANOSECONDS, Timebase
from unichunk.server.evaluation.robots.continued_rows import continued_rows
from unichunk.server.evaluation.robots.joint_adapter import FIRST_TICK, JointAdapter
from unichunk.server.evaluation.robots.proxy_policy import ProxyPolicy
from unichunk.server.remote.clock import SystemClock

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHERE = "ws://127.0.0.1:8100/robot/arm-1"
SPEC = load_spec("so101")
TICK_S = 1.0 / SPEC.action_hz
DELAY = 3
STEP = SPEC.limits.velocity / SPEC.action_hz


class Loop:
    """The runtime's producer on a ring buffer, an inference a tick, against a proxy; no threads."""

    def __init__(self, rows: int) -> None:
        self.clock = VirtualClock()
        self.clock.time = 0.0
        self.proxy = FakeProxy(SPEC, self.clock, rows)
        self.policy = ProxyPolicy(self.proxy, WHERE, SPEC, clock=self.clock)
        self.clock.time = 0.0
        self.timebase = Timebase(0, SPEC.action_hz, SPEC.command_hz)
        self.adapter = JointAdapter(SPEC.cameras)
        self.adapter.begin(self.timebase)
        self.start = self.told(-1)
        self.ring = RingBuffer(4 * rows, rows, 6, HoldFallback())
        self.ring.start(0, DELAY, self.encode(self.start[None], self.start)[0], self.start)
        self.producer = Producer(
            self.ring,
            FixedDelay(DELAY),
            self.timebase,
            encode=self.encode,
            joint_step=STEP,
            minimum_postfix=1,
            trained_delay=rows,
            chunk_length=rows,
        )
        self.violations = 0
        self.executed: list[NDArray[np.float64]] = []
        self.underruns: list[bool] = []

    def told(self, tick: int) -> NDArray[np.float64]:
        return self.proxy.row(FIRST_TICK + tick).astype(np.float64)

    def encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        return self.policy.encode_actions(self.adapter.actions(joints, before))

    def run(self, latencies: list[float | None]) -> None:
        """Observe and infer as fast as answers come, and execute every tick that begins meanwhile."""
        self.proxy.fates = iter(latencies)
        end = len(latencies)
        while (tick := math.floor(self.clock.time / TICK_S + 1e-9)) < end:
            self.execute()
            commitment = self.producer.begin(round(self.clock.time * NANOSECONDS), round(self.clock.time * NANOSECONDS))
            inputs = self.adapter.policy_input(observation(round(self.clock.time * NANOSECONDS)), "")
            try:
                chunk = self.policy.infer(inputs, commitment.previous_chunk, commitment.delay)
            except PolicyLate:
                chunk = None
            self.execute()
            if chunk is not None:
                joints = self.adapter.joints(chunk.actions, commitment.before, commitment.delay)
                record = self.producer.finish(commitment, chunk.unified, joints, lambda: round(self.clock.time * 1e9))
                self.violations += not record.intact
            self.clock.time = max(self.clock.time, (tick + 1) * TICK_S)
        self.execute()

    def execute(self) -> None:
        row = Row(self.start.copy())
        while len(self.executed) <= math.floor(self.clock.time / TICK_S + 1e-9):
            status = self.ring.read(len(self.executed), row)
            self.executed.append(row.joints.copy())
            self.underruns.append(status is RowStatus.UNDERRUN)


def observation(stamp_ns: int) -> Observation:
    state = RobotState(stamp_ns=stamp_ns, sequence=0, q=SPEC.rest, dq=np.zeros(6), watchdog=False)
    frame = CameraFrame(stamp_ns=stamp_ns, sequence=0, image=np.zeros((2, 2, 3), np.uint8))
    return Observation(stamp_ns=stamp_ns, state=state, frames={"third_person": frame})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.0, 0.9 * (DELAY - 1) * TICK_S), min_size=20, max_size=40))
def test_with_answers_in_time_what_runs_is_what_was_handed_out(latencies: list[float]) -> None:
    loop = Loop(rows=8)
    loop.run(list(latencies))
    assert loop.violations == 0
    assert not any(loop.underruns)
    # The first chunk believes the robot to be elsewhere than it was told to wait; that fades, and then nothing differs.
    assert loop.policy.statistics.prefixes_changed <= 8
    for tick, row in list(enumerate(loop.executed))[16:]:
        np.testing.assert_array_equal(row, loop.told(tick))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0.0, 0.09)), min_size=5, max_size=25))
def test_after_lost_answers_the_robot_does_not_jump_and_comes_back(latencies: list[float | None]) -> None:
    loop = Loop(rows=8)
    loop.run([*latencies, *[LATENCY_S] * 40])
    steps = np.abs(np.diff(np.array([loop.start, *loop.executed]), axis=0))
    # Of the proxy's own motion, and half a limit for what fades.
    assert (steps <= 0.5 * STEP + 0.012).all()
    for tick, row in list(enumerate(loop.executed))[-10:]:
        np.testing.assert_allclose(row, loop.told(tick), atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0.1, 0.5)), min_size=2, max_size=6))
def test_after_late_answers_it_comes_back(latencies: list[float | None]) -> None:
    loop = Loop(rows=8)
    loop.run([*latencies, *[LATENCY_S] * 100])
    for tick, row in list(enumerate(loop.executed))[-10:]:
        np.testing.assert_allclose(row, loop.told(tick), atol=1e-6)


def test_a_chunk_goes_on_from_what_is_committed() -> None:
    rows = np.tile(np.linspace(0, 0.07, 8, dtype=np.float32)[:, None], (1, 6))
    same, change = continued_rows(rows, rows[:3].copy(), STEP)
    assert same is rows
    assert change == 0.0
    moved, change = continued_rows(rows, rows[:3] + np.float32(0.1), STEP)
    assert change == pytest.approx(0.1)
    np.testing.assert_array_equal(moved[:3], rows[:3] + np.float32(0.1))
    assert np.abs(np.diff(moved, axis=0)).max() <= 0.5 * STEP.max() + 0.011
    np.testing.assert_allclose(moved[-1], rows[-1], atol=1e-6)
    far, _ = continued_rows(rows, rows[:3] + np.float32(1.0), STEP)
    assert np.abs(np.diff(far, axis=0)).max() <= 0.5 * STEP.max() + 0.011
    assert far[-1].min() > 0.5, "the rest is left to the next chunk"


def test_what_the_proxy_gets() -> None:
    loop = Loop(rows=8)
    loop.run([LATENCY_S] * 10)
    fields = loop.proxy.seen[-1]
    assert set(fields) == {"state", "image.third_person", "tick", "delay"}
    assert (fields["tick"], fields["delay"]) == (FIRST_TICK + 9, DELAY)
    assert fields["state"].dtype == np.float32
    assert [seen["tick"] for seen in loop.proxy.seen] == [FIRST_TICK + tick for tick in range(10)]


def test_a_supervised_robot_does_what_the_proxy_says() -> None:
    robot = FakeRobot(SPEC)
    proxy = FakeProxy(SPEC, SystemClock(), rows=16)
    policy = ProxyPolicy(proxy, WHERE, SPEC)
    adapter = JointAdapter(SPEC.cameras)
    # More patient than the real robot: a busy machine must not look like a dead driver.
    robot_ = replace(robot_settings(SPEC, policy, adapter), watchdog_s=1.0, observation_max_age_s=1.5)
    supervisor = Supervisor(robot, robot_, policy, adapter, RunOptions(duration_s=1.0, starved_s=15, outage_s=15))
    adapter.begin(supervisor.timebase)
    assert supervisor.run() is ExitReason.COMPLETED, supervisor.exit_detail
    limits = SPEC.limits
    commands = np.array([q for _, q in robot.sent])
    assert (np.abs(np.diff(commands, axis=0)) <= limits.velocity / SPEC.command_hz + 1e-9).all()
    waves = np.array([proxy.row(tick) for tick in range(200)])
    assert (commands[50:] >= waves.min(axis=0) - 0.02).all()
    assert (commands[50:] <= waves.max(axis=0) + 0.02).all()
    policy.close()
