"""The supervisor with real threads, a real (small) policy and a robot that fails on demand."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.run.faulty_policy import FaultyPolicy
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.errors import LinkError
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.injected_latency import InjectedLatency
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.policy import Policy
from unichunk.runtime.producer import Producer
from unichunk.runtime.report import build_report
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor
from unichunk.server.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.run.fake_robot import FakeRobot
    from unichunk.runtime.chunk_policy import ChunkPolicy
    from unichunk.runtime.motion import Motion
    from unichunk.runtime.producer import Commitment

PATIENCE_S = 1.0

WARM = 13
"""Inferences before the robot moves: cold, warm; the ramp's goal is one more."""


def supervise(
    robot: FakeRobot,
    policy: ChunkPolicy,
    options: RunOptions,
    look: Callable[[Supervisor], None] = lambda _: None,
) -> Supervisor:
    adapter = EmbodimentAdapter(robot.spec, joint_entry(robot.spec))
    # More patient than the real robot: a busy machine must not look like a dead driver.
    settings = replace(
        robot_settings(robot.spec, policy, adapter), watchdog_s=PATIENCE_S, observation_max_age_s=1.5 * PATIENCE_S
    )
    return Supervisor(robot, settings, policy, adapter, options, look)


def check_commands(robot: FakeRobot) -> None:
    """Whatever happened: every stretch of commands within the limits, and at rest at its end."""
    limits, hz = robot.spec.limits, robot.spec.command_hz
    commands = np.array([q for _, q in robot.sent])
    assert np.isfinite(commands).all()
    assert (commands >= limits.lower).all()
    assert (commands <= limits.upper).all()
    steps = np.diff(commands, axis=0)
    assert (np.abs(steps) <= limits.velocity / hz + 1e-9).all()
    assert not steps[-1:].any(), "the robot was not held at the end"


def states(supervisor: Supervisor) -> list[object]:
    return [event["kind"] for event in supervisor.events.list()]


def when(condition: Callable[[Supervisor], bool], action: Callable[[Supervisor], None]) -> Callable[[Supervisor], None]:
    """A `look` that acts once, as soon as the condition holds."""
    done: list[bool] = []

    def look(supervisor: Supervisor) -> None:
        if not done and condition(supervisor):
            done.append(True)
            action(supervisor)

    return look


def running_for(seconds: float) -> Callable[[Supervisor], bool]:
    return lambda supervisor: supervisor.state is RunState.RUNNING and supervisor.elapsed_s >= seconds


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


def test_nan_while_standing_still_moves_nothing(robot: FakeRobot, tiny: Path) -> None:
    supervisor = supervise(robot, FaultyPolicy(Policy.load(tiny), after=0, nan=True), RunOptions(duration_s=1.0))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert robot.sent == []


def test_nan_while_running_is_dropped_and_the_robot_held(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, nan=True)
    supervisor = supervise(robot, policy, RunOptions(duration_s=20.0))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert supervisor.inference.telemetry.rejected >= 5
    assert "nan" in supervisor.exit_detail
    check_commands(robot)


def test_an_exception_in_the_inference_thread_holds_the_robot(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, error=RuntimeError("out of memory"))
    supervisor = supervise(robot, policy, RunOptions(duration_s=20.0))
    assert supervisor.run() is ExitReason.INTERNAL_FAULT
    assert "out of memory" in supervisor.exit_detail
    check_commands(robot)


def test_an_exception_in_the_control_thread_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    def break_sending(_: Supervisor) -> None:
        robot.fail_send = RuntimeError("no socket")

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), when(running_for(0.3), break_sending))
    assert supervisor.run() is ExitReason.INTERNAL_FAULT
    assert "no socket" in supervisor.exit_detail
    assert robot.closed


def test_a_bug_in_the_supervisor_itself_holds_the_robot(robot: FakeRobot, tiny: Path) -> None:
    def fail(_: Supervisor) -> None:
        raise ZeroDivisionError

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), when(running_for(0.3), fail))
    assert supervisor.run() is ExitReason.INTERNAL_FAULT
    assert "ZeroDivisionError" in supervisor.exit_detail
    check_commands(robot)
    assert not supervisor.control.is_alive()


@pytest.mark.parametrize("state", [RunState.CONNECTING, RunState.SYNCING, RunState.RUNNING])
def test_a_request_to_stop_is_heard_in_every_state(robot: FakeRobot, tiny: Path, state: RunState) -> None:
    look = when(lambda supervisor: supervisor.state is state, lambda supervisor: supervisor.stop(ExitReason.TERMINATED))
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), look)
    assert supervisor.run() is ExitReason.TERMINATED
    assert supervisor.state is RunState.STOPPED
    if robot.sent:
        check_commands(robot)


@pytest.mark.parametrize("fault", ["stalled", "frozen"])
def test_a_camera_that_stops_or_freezes_holds_the_robot(robot: FakeRobot, tiny: Path, fault: str) -> None:
    supervisor = supervise(
        robot,
        Policy.load(tiny),
        RunOptions(duration_s=20.0, recovery_s=0.5),
        when(running_for(0.3), lambda _: setattr(robot, fault, True)),
    )
    assert supervisor.run() is ExitReason.SENSOR_FAULT
    assert "camera third_person" in supervisor.exit_detail
    check_commands(robot)


@pytest.mark.parametrize("fault", ["stalled", "frozen"])
def test_a_camera_that_comes_back_is_used_again(robot: FakeRobot, tiny: Path, fault: str) -> None:
    begin = when(running_for(0.3), lambda _: setattr(robot, fault, True))
    end = when(
        lambda supervisor: supervisor.state is RunState.HOLDING,
        lambda _: threading.Timer(0.3, setattr, (robot, fault, False)).start(),
    )

    def look(supervisor: Supervisor) -> None:
        begin(supervisor)
        end(supervisor)

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=4.0, recovery_s=5.0), look)
    assert supervisor.run() is ExitReason.COMPLETED
    assert states(supervisor)[2:7] == ["running", "holding", "recovered", "syncing", "running"]
    check_commands(robot)


def test_a_driver_that_dies_for_good(robot: FakeRobot, tiny: Path) -> None:
    supervisor = supervise(
        robot,
        Policy.load(tiny),
        RunOptions(duration_s=20.0, recovery_s=0.5),
        when(running_for(0.3), lambda _: setattr(robot, "dead", True)),
    )
    assert supervisor.run() is ExitReason.DRIVER_LOST
    assert "did it die?" in supervisor.exit_detail


def test_a_driver_that_comes_back_is_synchronized_with_before_it_moves(robot: FakeRobot, tiny: Path) -> None:
    """It stands elsewhere now: not one command may still speak of the place where it was."""
    moved = np.clip(robot.spec.rest - 0.3, robot.spec.limits.lower, robot.spec.limits.upper)
    before: list[int] = []

    def die(_: Supervisor) -> None:
        robot.dead = True

    def come_back() -> None:
        robot.q = moved.copy()
        before.append(len(robot.sent))
        robot.watchdog = True  # as a driver that was started anew, it follows nobody before a hello
        robot.dead = False

    begin = when(running_for(0.5), die)
    end = when(
        lambda supervisor: supervisor.state is RunState.HOLDING, lambda _: threading.Timer(0.5, come_back).start()
    )

    def look(supervisor: Supervisor) -> None:
        begin(supervisor)
        end(supervisor)

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=4.0, recovery_s=5.0), look)
    assert supervisor.run() is ExitReason.COMPLETED
    assert robot.reconnects >= 1
    first = robot.sent[before[0]][1]
    np.testing.assert_allclose(first, moved, atol=1e-3)
    assert states(supervisor)[2:7] == ["running", "holding", "recovered", "syncing", "running"]


def test_a_driver_whose_watchdog_tripped_is_synchronized_with_again(robot: FakeRobot, tiny: Path) -> None:
    supervisor = supervise(
        robot,
        Policy.load(tiny),
        RunOptions(duration_s=1.0, recovery_s=2.0),
        when(running_for(0.3), lambda _: setattr(robot, "watchdog", True)),
    )
    assert supervisor.run() is ExitReason.COMPLETED
    assert robot.reconnects == 1
    assert "recovered" in states(supervisor)


def test_a_long_stall_is_underruns_and_a_hold_then_it_goes_on(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, stall_s=2.0)
    supervisor = supervise(robot, policy, RunOptions(duration_s=4.0))
    assert supervisor.run() is ExitReason.COMPLETED
    motion = supervisor.motions[0]
    assert motion.underruns >= 5
    assert motion.policy_ticks > motion.underruns
    check_commands(robot)


def test_replanning_only_when_few_rows_remain(robot: FakeRobot, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remaining: list[tuple[int, int]] = []
    begin = Producer.begin

    def looked_at(producer: Producer, *times: int) -> Commitment:
        ring = producer._ring
        remaining.append((ring.end - 1 - ring.cursor, producer.rows_to_arrive))
        return begin(producer, *times)

    monkeypatch.setattr(Producer, "begin", looked_at)
    lazy = supervise(robot, Policy.load(tiny), RunOptions(duration_s=2.0, replan_below=12))
    lazy.run()
    assert len(remaining) >= 2
    # Between the decision and the commitment a tick may begin, but none is given back.
    assert [rows for rows, needed in remaining if rows >= max(12, needed)] == []


def test_nothing_is_sent_before_the_robot_is_synchronized(robot: FakeRobot, tiny: Path) -> None:
    seen: list[int] = []
    look = when(lambda supervisor: supervisor.state is RunState.SYNCING, lambda _: seen.append(len(robot.sent)))
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=0.5), look)
    supervisor.run()
    time.sleep(0.05)
    assert seen == [0]
    assert len(robot.sent) == supervisor.loop.telemetry.steps


def test_a_slow_robot_is_not_silenced_while_it_brakes(
    robot: FakeRobot, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=0.2))
    limits = supervisor._robot.limits
    slow = replace(limits, acceleration=np.full(limits.size, 2.0))
    assert slow.stopping_s > 1.4
    supervisor._robot = replace(supervisor._robot, limits=slow)
    asked: list[float] = []

    def settled(_: ControlLoop) -> bool:
        asked.append(time.monotonic())
        return asked[-1] - asked[0] > 1.4

    monkeypatch.setattr(ControlLoop, "settled", property(settled))
    assert supervisor.run() is ExitReason.COMPLETED
    assert settled(supervisor.loop)
    assert asked[-2] - asked[0] > 1.4, "the supervisor went on before the robot was at rest"


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


def test_another_session_that_took_the_robot_over_ends_the_run_as_lost(robot: FakeRobot, tiny: Path) -> None:
    robot.refuse = LinkError("another session commands this robot")
    look = when(running_for(0.3), lambda _: setattr(robot, "watchdog", True))
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0), look)
    assert supervisor.run() is ExitReason.DRIVER_LOST
    assert "another session" in supervisor.exit_detail


def test_a_joint_that_does_not_follow_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    robot.q = robot.spec.rest + np.array([1.2, 0, 0, 0, 0, 0])
    robot.blocked = True
    # Goes where the robot is not; a random policy may ask for a pose near the one that the joint is stuck in.
    policy = FaultyPolicy(Policy.load(tiny), after=0, zero=True)
    supervisor = supervise(robot, policy, RunOptions(duration_s=20.0))
    assert supervisor.run() is ExitReason.ROBOT_FAULT
    assert "rad from its command" in supervisor.exit_detail


def test_a_robot_far_outside_its_limits_is_not_commanded(robot: FakeRobot, tiny: Path) -> None:
    robot.q = robot.spec.rest + np.array([2.6, 0, 0, 0, 0, 0])
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0))
    assert supervisor.run() is ExitReason.ROBOT_FAULT
    assert "outside its limits" in supervisor.exit_detail
    assert robot.sent == []


def test_a_state_that_is_not_finite_is_not_commanded(robot: FakeRobot, tiny: Path) -> None:
    robot.q = robot.spec.rest * np.nan
    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0))
    assert supervisor.run() is not ExitReason.COMPLETED
    assert robot.sent == []


def test_a_policy_that_hangs_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, stall_s=6.0)
    supervisor = supervise(robot, policy, RunOptions(duration_s=20.0, starved_s=1.0, recovery_s=0.2))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert "no chunk could be used" in supervisor.exit_detail
    check_commands(robot)


def test_a_policy_that_became_too_slow_for_its_chunks_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    policy = InjectedLatency(Policy.load(tiny), 1.5, after_s=2.0)
    supervisor = supervise(robot, policy, RunOptions(duration_s=30.0, starved_s=2.5))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert supervisor.inference.telemetry.lost_chunks >= 1
    check_commands(robot)


def test_a_gap_in_the_link_is_no_jump_for_the_robot(robot: FakeRobot, tiny: Path) -> None:
    """Counted in commands, not in time, and begun on the move: a busy machine makes the gap longer, never empty."""
    before: list[int] = []

    def moving(supervisor: Supervisor) -> bool:
        return supervisor.state is RunState.RUNNING and bool(np.abs(supervisor.loop.guard.velocity).max() > 0.03)

    def cut(_: Supervisor) -> None:
        before.append(len(robot.sent))
        robot.send_ok = False

    begin = when(moving, cut)
    end = when(lambda it: it.loop.telemetry.unsent >= 40, lambda _: setattr(robot, "send_ok", True))
    enough = when(
        lambda it: robot.send_ok and bool(before) and len(robot.sent) >= before[0] + 50,
        lambda it: it.stop(ExitReason.TERMINATED),
    )

    def look(supervisor: Supervisor) -> None:
        begin(supervisor)
        end(supervisor)
        enough(supervisor)

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=60.0), look)
    assert supervisor.run() is ExitReason.TERMINATED
    assert supervisor.loop.telemetry.unsent >= 40
    check_commands(robot)


def test_a_flapping_robot_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    def look(supervisor: Supervisor) -> None:
        if supervisor.state is RunState.RUNNING:
            robot.watchdog = True

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=20.0, recoveries=2), look)
    assert supervisor.run() is ExitReason.DRIVER_LOST
    assert "after 2 recoveries" in supervisor.exit_detail
    assert states(supervisor).count("recovered") == 3


def test_a_view_that_fails_at_the_end_loses_nothing(robot: FakeRobot, tiny: Path) -> None:
    def look(supervisor: Supervisor) -> None:
        if supervisor.state in {RunState.HOLDING, RunState.STOPPED}:
            raise BrokenPipeError

    supervisor = supervise(robot, Policy.load(tiny), RunOptions(duration_s=0.5), look)
    assert supervisor.run() is ExitReason.COMPLETED
    assert robot.closed
    assert not supervisor.control.is_alive()
    assert supervisor.driver_status["accepted"] > 0
