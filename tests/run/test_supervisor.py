"""The supervisor with real threads, a real (small) policy and a robot: how runs begin, go on and end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.run.faulty_policy import FaultyPolicy
from tests.run.supervised import WARM, check_commands, running_for, states, supervise, when
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.injected_latency import InjectedLatency
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.policy import Policy
from unichunk.runtime.producer import Producer
from unichunk.runtime.report import build_report
from unichunk.runtime.run_options import RunOptions
from unichunk.server.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.run.fake_robot import FakeRobot
    from unichunk.runtime.motion import Motion
    from unichunk.runtime.producer import Commitment
    from unichunk.runtime.supervisor import Supervisor


def test_a_run_that_ends_as_asked(robot: FakeRobot, tiny: Path) -> None:
    start = robot.q.copy()
    supervisor = supervise(robot, Policy.load(tiny), RunOptions("go", duration_s=1.0))
    assert supervisor.run() is ExitReason.COMPLETED
    assert states(supervisor) == ["connecting", "syncing", "running", "holding", "stopped"]
    assert robot.closed
    assert robot.tasks == ["begin", "end"]
    assert robot.instructions == ["go"]
    assert not supervisor.control.is_alive()
    assert not supervisor.inference.is_alive()
    check_commands(robot)
    np.testing.assert_allclose(robot.sent[0][1], start, atol=1e-3, err_msg="the first command must be where it stands")
    policy = Policy.load(tiny)
    adapter = EmbodimentAdapter(robot.spec, policy.robot)
    report = build_report(supervisor, robot_settings(robot.spec, policy, adapter), {})
    assert report["ticks"] >= 20
    assert report["policy_ticks"] > 0
    assert report["chunks"] > 0
    assert report["exit_reason"] == "completed"
    assert report["task"] == {"policy_error_m": 0.5}
    assert report["task_unmeasured"] == ""


def test_a_task_that_is_not_measured_runs_all_the_same_and_everybody_is_told(robot: FakeRobot, tiny: Path) -> None:
    robot.task_unmeasured = "instruction 'go': names no block (the task is not measured)"
    supervisor = supervise(robot, Policy.load(tiny), RunOptions("go", duration_s=0.2))
    assert supervisor.run() is ExitReason.COMPLETED
    assert ("task", robot.task_unmeasured) in [(e["kind"], e["text"]) for e in supervisor.events.list()]
    policy = Policy.load(tiny)
    adapter = EmbodimentAdapter(robot.spec, policy.robot)
    report = build_report(supervisor, robot_settings(robot.spec, policy, adapter), {})
    assert report["task_unmeasured"] == robot.task_unmeasured
    assert summary(report).splitlines()[-1] == f"  task {robot.task_unmeasured}"


def test_an_absent_driver(robot: FakeRobot, tiny: Path) -> None:
    robot.absent = True
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=1.0))
    assert supervisor.run() is ExitReason.DRIVER_LOST
    assert "is `unichunk driver so101` running?" in supervisor.exit_detail
    assert robot.sent == []
    assert supervisor.state is RunState.STOPPED


def test_a_latency_that_no_chunk_covers_is_refused_before_the_robot_moves(robot: FakeRobot, tiny: Path) -> None:
    policy = InjectedLatency(Policy.load(tiny), 0.65)
    supervisor = supervise(robot, policy, RunOptions(duration_s=1.0))
    assert supervisor.run() is ExitReason.REFUSED
    assert "exceeds the chunk length T = 24" in supervisor.exit_detail
    assert robot.sent == []


def test_an_instruction_that_does_not_fit_is_refused(robot: FakeRobot, tiny: Path) -> None:
    supervisor = supervise(robot, Policy.load(tiny), RunOptions("x" * 65, duration_s=1.0))
    assert supervisor.run() is ExitReason.REFUSED
    assert "at most 64" in supervisor.exit_detail
    assert robot.sent == []


def test_a_bug_in_the_supervisor_itself_holds_the_robot(robot: FakeRobot, tiny: Path) -> None:
    def fail(_: Supervisor) -> None:
        raise ZeroDivisionError

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), when(running_for(0.3), fail))
    assert supervisor.run() is ExitReason.INTERNAL_FAULT
    assert "ZeroDivisionError" in supervisor.exit_detail
    check_commands(robot)
    assert not supervisor.control.is_alive()


def test_an_exception_in_the_control_thread_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    def break_sending(_: Supervisor) -> None:
        robot.fail_send = RuntimeError("no socket")

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), when(running_for(0.3), break_sending))
    assert supervisor.run() is ExitReason.INTERNAL_FAULT
    assert "no socket" in supervisor.exit_detail
    assert robot.closed


def test_an_exception_in_the_inference_thread_holds_the_robot(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, error=RuntimeError("out of memory"))
    supervisor = supervise(robot, policy, RunOptions(duration_s=20.0))
    assert supervisor.run() is ExitReason.INTERNAL_FAULT
    assert "out of memory" in supervisor.exit_detail
    check_commands(robot)


@pytest.mark.parametrize("state", [RunState.CONNECTING, RunState.SYNCING, RunState.RUNNING])
def test_a_request_to_stop_is_heard_in_every_state(robot: FakeRobot, tiny: Path, state: RunState) -> None:
    look = when(lambda supervisor: supervisor.state is state, lambda supervisor: supervisor.stop(ExitReason.TERMINATED))
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), look)
    assert supervisor.run() is ExitReason.TERMINATED
    assert supervisor.state is RunState.STOPPED
    if robot.sent:
        check_commands(robot)


def test_nothing_is_sent_before_the_robot_is_synchronized(robot: FakeRobot, tiny: Path) -> None:
    seen: list[int] = []
    look = when(lambda supervisor: supervisor.state is RunState.SYNCING, lambda _: seen.append(len(robot.sent)))
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=0.5), look)
    supervisor.run()
    time.sleep(0.05)
    assert seen == [0]
    assert len(robot.sent) == supervisor.loop.telemetry.steps


def test_a_stop_between_the_order_to_ramp_and_its_first_step_moves_nothing(robot: FakeRobot, tiny: Path) -> None:
    """The newest order counts: an older ramp must not be taken up after the hold."""
    stands = robot.spec.rest + 0.4
    robot.q = stands.copy()
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0))
    restart = supervisor.loop.restart

    def restart_then_stop(q: NDArray[np.float64], motion: Motion) -> None:
        restart(q, motion)
        supervisor.stop(ExitReason.TERMINATED)

    supervisor.loop.restart = restart_then_stop  # type: ignore[method-assign]
    assert supervisor.run() is ExitReason.TERMINATED
    # The ramp may have begun within the first period, and is braked at once.
    assert all(np.abs(q - stands).max() < 1e-3 for _, q in robot.sent)


def test_somebody_who_stops_the_driver_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    look = when(running_for(0.3), lambda _: setattr(robot, "stopped", True))
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), look)
    assert supervisor.run() is ExitReason.DRIVER_STOPPED
    assert robot.reconnects == 0


def test_a_view_that_fails_at_the_end_loses_nothing(robot: FakeRobot, tiny: Path) -> None:
    def look(supervisor: Supervisor) -> None:
        if supervisor.state in {RunState.HOLDING, RunState.STOPPED}:
            raise BrokenPipeError

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=0.5), look)
    assert supervisor.run() is ExitReason.COMPLETED
    assert robot.closed
    assert not supervisor.control.is_alive()
    assert supervisor.driver_status["accepted"] > 0


def test_replanning_only_when_few_rows_remain(robot: FakeRobot, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remaining: list[tuple[int, int]] = []
    begin = Producer.begin

    def looked_at(producer: Producer, *times: int, **how: bool) -> Commitment:
        ring = producer._ring
        remaining.append((ring.end - 1 - ring.cursor, producer.rows_to_arrive))
        return begin(producer, *times, **how)

    monkeypatch.setattr(Producer, "begin", looked_at)
    lazy = supervise(robot, Policy.load(tiny), RunOptions(duration_s=2.0, replan_below=12))
    lazy.run()
    assert len(remaining) >= 2
    # Between the decision and the commitment a tick may begin, but none is given back.
    assert [rows for rows, needed in remaining if rows >= max(12, needed)] == []
