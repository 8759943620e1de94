"""The supervisor and a policy that goes wrong."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.run.faulty_policy import FaultyPolicy
from tests.run.supervised import WARM, check_commands, running_for, states, supervise, when
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.policy import Policy
from unichunk.runtime.run_options import RunOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.fake_robot import FakeRobot
    from unichunk.runtime.supervisor import Supervisor


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


def test_a_long_stall_is_underruns_and_a_hold_then_it_goes_on(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, stall_s=2.0)
    supervisor = supervise(robot, policy, RunOptions(duration_s=4.0))
    assert supervisor.run() is ExitReason.COMPLETED
    motion = supervisor.motions[0]
    assert motion.underruns >= 5
    assert motion.policy_ticks > motion.underruns
    check_commands(robot)


def test_a_policy_that_hangs_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, stall_s=6.0)
    supervisor = supervise(robot, policy, RunOptions(duration_s=20.0, starved_s=1.0, recovery_s=0.2))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert "no chunk could be used" in supervisor.exit_detail
    check_commands(robot)


def test_a_policy_that_became_too_slow_for_its_chunks_ends_the_run(robot: FakeRobot, tiny: Path) -> None:
    policy = FaultyPolicy(Policy.load(tiny), after=WARM + 5, stall_s=1.5, stalls=100)
    supervisor = supervise(robot, policy, RunOptions(duration_s=30.0, starved_s=2.5))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert supervisor.inference.telemetry.lost_chunks >= 1
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
