"""A policy that cannot lock is announced before the robot moves, and driven all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.run.faulty_policy import FaultyPolicy
from tests.run.supervised import check_commands, supervise
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.injected_latency import InjectedLatency
from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.policy import Policy
from unichunk.runtime.report import build_report
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import STITCHES, Supervisor
from unichunk.server.run_picture import RunPicture
from unichunk.server.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.fake_robot import FakeRobot


class Stitching(FaultyPolicy):
    """Says of itself that its rows do not know what is committed."""

    locks = False


def test_it_is_said_once_before_the_robot_moves_and_in_report_and_view(robot: FakeRobot, tiny: Path) -> None:
    policy = InjectedLatency(Stitching(Policy.load(tiny), after=10**9), 0.0)
    supervisor = supervise(robot, policy, RunOptions("go", duration_s=0.4))
    assert supervisor.run() is ExitReason.COMPLETED
    events = [(event["kind"], event["text"]) for event in supervisor.events.list()]
    kinds = [kind for kind, _ in events]
    assert kinds.count("stitching") == 1
    assert ("stitching", STITCHES) in events
    assert kinds.index("connecting") < kinds.index("stitching") < kinds.index("syncing")
    adapter = EmbodimentAdapter(robot.spec, joint_entry(robot.spec))
    report = build_report(supervisor, robot_settings(robot.spec, policy, adapter), {})
    assert report["locked_prefixes"] is False
    assert "ticks (stitched, not locked)" in summary(report)
    picture = RunPicture("title", None, supervisor)
    assert "ticks, stitched, not locked" in picture.line()
    assert f"stitching: {STITCHES}" in picture.news()
    check_commands(robot)


def test_of_one_that_locks_nothing_is_said(robot: FakeRobot, tiny: Path) -> None:
    policy = Policy.load(tiny)
    adapter = EmbodimentAdapter(robot.spec, policy.robot)
    settings = robot_settings(robot.spec, policy, adapter)
    supervisor = Supervisor(robot, settings, policy, adapter, RunOptions("go"))
    assert build_report(supervisor, settings, {})["locked_prefixes"] is True
    assert "stitched" not in RunPicture("title", None, supervisor).line()
