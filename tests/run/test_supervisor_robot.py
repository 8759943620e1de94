"""The supervisor and a robot, or a link to it, that goes wrong."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tests.run.faulty_policy import FaultyPolicy
from tests.run.supervised import check_commands, running_for, states, supervise, when
from unichunk.embodiments.errors import LinkError
from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.policy import Policy
from unichunk.runtime.run_options import RunOptions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.run.fake_robot import FakeRobot
    from unichunk.runtime.supervisor import Supervisor


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
