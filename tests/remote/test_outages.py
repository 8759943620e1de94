"""A run whose policy is somewhere else, late, or out of reach for a while: the robot holds, and goes on by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.errors import PolicyLate
from unichunk.runtime.first_row import COLD_INFERENCES, WARM_INFERENCES, FirstRow
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.policy import Policy, PolicyResult
from unichunk.runtime.report import build_report
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor
from unichunk.runtime.wrapped_policy import WrappedPolicy
from unichunk.server.remote.statistics import RemoteStatistics
from unichunk.server.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.run.fake_robot import FakeRobot

ASK_S = 0.2


class FarPolicy(WrappedPolicy):
    """A policy behind a network that can be cut; the first answer after that is slow, and marked as cold."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.cut = False
        self.cold_s = 0.0
        self.asked: list[tuple[float, NDArray[np.float32] | None, int]] = []
        """(when, rows to lock, d) of everything that was asked."""
        self.answers: list[int] = []
        """Which of these were answered."""
        self._was_cut = False

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> PolicyResult:
        self.asked.append((time.monotonic(), None if previous_chunk is None else previous_chunk.copy(), delay))
        if self.cut:
            self._was_cut = True
            time.sleep(ASK_S)
            raise PolicyLate("the policy server at ws://far cannot be reached: no answer in time")
        cold, self._was_cut = self._was_cut, False
        if cold:
            time.sleep(self.cold_s)
        result = self._policy.infer(observation, previous_chunk, delay)
        self.answers.append(len(self.asked) - 1)
        return replace(result, cold=cold)


def supervise(robot: FakeRobot, policy: FarPolicy, options: RunOptions, look: Callable[[Supervisor], None]) -> Any:
    adapter = EmbodimentAdapter(robot.spec, joint_entry(robot.spec))
    # More patient than the real robot: a busy machine must not look like a dead driver.
    settings = replace(robot_settings(robot.spec, policy, adapter), watchdog_s=1.0, observation_max_age_s=1.5)
    supervisor = Supervisor(robot, settings, policy, adapter, options, look)
    reason = supervisor.run()
    return reason, supervisor, build_report(supervisor, settings, {}, remote=None)


def cut_between(policy: FarPolicy, start: float, end: float) -> Callable[[Supervisor], None]:
    def look(supervisor: Supervisor) -> None:
        policy.cut = supervisor.state is RunState.RUNNING and start <= supervisor.elapsed_s < end

    return look


def test_a_run_survives_an_outage_and_goes_on_from_what_really_ran(robot: FakeRobot, tiny: Path) -> None:
    policy = FarPolicy(Policy.load(tiny))
    policy.cold_s = 0.25
    options = RunOptions("go", duration_s=3.2, starved_s=0.3, outage_s=10.0, rejected_chunks=1)
    # A chunk lasts 1.2 s: by the end of the outage nothing is left of the last one.
    reason, supervisor, report = supervise(robot, policy, options, cut_between(policy, 0.4, 2.2))
    assert reason is ExitReason.COMPLETED, supervisor.exit_detail
    assert [event["kind"] for event in supervisor.events.list()].count("holding") == 1  # at the end
    assert report["missed_answers"] >= 3
    assert report["rejected_chunks"] == 0
    assert 1.6 < report["longest_outage_s"] < 3.2
    assert report["last_miss"].startswith("the policy server at ws://far")
    assert report["underruns"] > 0
    gap = max(range(1, len(policy.answers)), key=lambda i: policy.answers[i] - policy.answers[i - 1])
    _, rows, delay = policy.asked[policy.answers[gap]]
    _, before, _ = policy.asked[policy.answers[gap - 1] + 1]
    assert rows is not None
    assert before is not None
    # The first chunk afterwards is told of a robot that holds: all rows are the last one that there was.
    assert delay >= 1
    np.testing.assert_array_equal(rows[:delay], np.repeat(before[-1:], delay, axis=0))
    # d has not followed the slow answer that came first over the new connection.
    assert max(d for _, _, d in policy.asked[policy.answers[gap] + 1 :]) <= delay + 2
    # Whatever ran was what the chunks had been told; late ones are a busy machine's.
    assert report["commitment_violations"] == 0 or report["late_chunks"]
    commands = np.array([q for _, q in robot.sent])
    limits, hz = robot.spec.limits, robot.spec.command_hz
    assert (np.abs(np.diff(commands, axis=0)) <= limits.velocity / hz + 1e-9).all()


def test_an_outage_that_lasts_too_long_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    policy = FarPolicy(Policy.load(tiny))
    options = RunOptions("go", duration_s=30.0, starved_s=0.3, outage_s=0.9)
    reason, supervisor, report = supervise(robot, policy, options, cut_between(policy, 0.2, 100.0))
    assert reason is ExitReason.POLICY_FAULT
    assert "an outage of 0.9 s is ridden out; the policy server at ws://far" in supervisor.exit_detail
    assert report["elapsed_s"] < 10


def test_an_outage_while_warming_up(robot: FakeRobot, tiny: Path) -> None:
    policy = FarPolicy(Policy.load(tiny))

    def look(supervisor: Supervisor) -> None:
        policy.cut = 5 <= len(policy.asked) < 8

    reason, supervisor, _ = supervise(robot, policy, RunOptions("go", duration_s=0.3, outage_s=10.0), look)
    assert reason is ExitReason.COMPLETED, supervisor.exit_detail
    policy = FarPolicy(Policy.load(tiny))
    reason, supervisor, _ = supervise(robot, policy, RunOptions("go", duration_s=0.3), look)
    assert reason is ExitReason.POLICY_FAULT
    assert "cannot be reached" in supervisor.exit_detail
    assert supervisor.motions == []


@pytest.mark.parametrize("late", [0, 3])
def test_what_was_missed_is_asked_again_before_the_robot_moves(
    robot: FakeRobot,
    tiny: Path,
    late: int,
) -> None:
    policy = FarPolicy(Policy.load(tiny))
    adapter = EmbodimentAdapter(robot.spec, joint_entry(robot.spec))
    estimator = DelayEstimator(20, 1)
    first = FirstRow(robot, policy, adapter, "go", outage_s=10.0)

    def pause() -> None:
        policy.cut = len(policy.answers) == COLD_INFERENCES + 4 and len(policy.asked) - len(policy.answers) < late

    policy.cold_s = 0.2
    first.warm_up(estimator, pause)
    assert len(policy.answers) == COLD_INFERENCES + WARM_INFERENCES
    assert len(policy.asked) - len(policy.answers) == late
    # The slow answer after an outage is none that d follows.
    assert len(estimator._processing) == WARM_INFERENCES - (late > 0)
    assert estimator.latency_s() < 0.2


def test_the_summary_of_a_run_with_a_policy_server(robot: FakeRobot, tiny: Path) -> None:
    policy = FarPolicy(Policy.load(tiny))
    adapter = EmbodimentAdapter(robot.spec, joint_entry(robot.spec))
    settings = robot_settings(robot.spec, policy, adapter)
    supervisor = Supervisor(robot, settings, policy, adapter, RunOptions("go", duration_s=0.3))
    assert supervisor.run() is ExitReason.COMPLETED
    supervisor.inference.telemetry.miss("too late", 0, 2_000_000_000)
    report = build_report(supervisor, settings, {}, remote=RemoteStatistics().report())
    assert (report["missed_answers"], report["longest_outage_s"], report["last_miss"]) == (1, 2.0, "too late")
    assert "missed answers 1, longest outage 2.0 s, connections 0" in summary(report)
