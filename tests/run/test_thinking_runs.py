"""Thinking with the real threads: the supervisor, a small policy, and a robot in this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.run.supervised import WARM, check_commands, states, supervise, when
from tests.run.thinking_policy import ListeningPolicy, SlowReasoner
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.observation_recording import ObservationRecording
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.policy import Policy
from unichunk.runtime.reasoning import THOUGHT_KEY
from unichunk.runtime.report import build_report
from unichunk.runtime.run_options import RunOptions
from unichunk.server.run_picture import RunPicture
from unichunk.server.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.run.fake_robot import FakeRobot
    from unichunk.runtime.supervisor import Supervisor

OPTIONS = RunOptions("go", thought_gap_s=0.05)
SHORT = RunOptions("go", duration_s=0.4)


def until(condition: Callable[[Supervisor], bool]) -> Callable[[Supervisor], None]:
    """Ends the run as soon as something holds, however busy the machine is."""
    return when(
        lambda supervisor: condition(supervisor) or supervisor.elapsed_s > 20.0,
        lambda supervisor: supervisor.stop(ExitReason.COMPLETED),
    )


def thought(count: int, end: str = "finished") -> Callable[[Supervisor], bool]:
    """Whether so many thoughts have ended so."""

    def enough(supervisor: Supervisor) -> bool:
        report = supervisor.inference.thoughts.report(0)
        return report is not None and report[end] >= count and supervisor.elapsed_s > 0.1

    return enough


def reported(robot: FakeRobot, tiny: Path, supervisor: Supervisor) -> dict[str, Any]:
    policy = Policy.load(tiny)
    return build_report(supervisor, robot_settings(robot.spec, policy, EmbodimentAdapter(robot.spec, policy.robot)), {})


def said(supervisor: Supervisor, kind: str) -> list[str]:
    return [str(event["text"]) for event in supervisor.events.list() if event["kind"] == kind]


def test_the_first_thought_comes_before_the_robot_moves_and_others_while_it_does(robot: FakeRobot, tiny: Path) -> None:
    moved: list[bool] = []
    reasoner = SlowReasoner(look=lambda: moved.append(bool(robot.sent)))
    policy = ListeningPolicy(Policy.load(tiny))
    supervisor = supervise(robot, policy, OPTIONS, until(thought(6)), reasoner)
    assert supervisor.run() is ExitReason.COMPLETED
    check_commands(robot)
    assert moved[:2] == [False, False], "a first thought to get warm, a second one to act on"
    assert any(moved[2:]), "none was thought while the robot moved"
    # Warm-up is over before the first thought; whatever moves the robot, the ramp's goal first, has been told one.
    told = policy.told[WARM:]
    assert told[0] == "thought 1"
    assert None not in told
    assert len(set(told)) > 1
    report = reported(robot, tiny, supervisor)
    assert report["commitment_violations"] == 0
    thoughts = report["thoughts"]
    assert thoughts["finished"] == len(thoughts["last"]) == len(said(supervisor, "thought")) > 2
    assert thoughts["tokens"] == 3 * thoughts["finished"]
    assert thoughts["last"][-1]["text"] == thoughts["text"]
    assert f"acted on {thoughts['text']!r}" in summary(report)
    assert "acts on 'thought" in RunPicture("policy on robot", None, supervisor).line()


def test_a_thought_without_end_is_given_up_and_the_policy_acts_on_the_instruction(robot: FakeRobot, tiny: Path) -> None:
    policy = ListeningPolicy(Policy.load(tiny))
    supervisor = supervise(robot, policy, OPTIONS, until(thought(4, "abandoned")), SlowReasoner(None))
    assert supervisor.run() is ExitReason.COMPLETED
    assert set(policy.told) == {None}
    assert said(supervisor, "thought abandoned") == ["no end after 10 tokens, acting on the instruction"]
    assert reported(robot, tiny, supervisor)["thoughts"]["abandoned"] > 2


def test_a_policy_that_cannot_think_never_moves_the_robot(robot: FakeRobot, tiny: Path) -> None:
    supervisor = supervise(robot, ListeningPolicy(Policy.load(tiny)), OPTIONS, reasoner=SlowReasoner(fails=0))
    assert supervisor.run() is ExitReason.POLICY_FAULT
    assert supervisor.exit_detail == "the policy cannot think: the head is empty"
    assert robot.sent == []


def test_a_policy_that_cannot_think_any_more_acts_on_its_last_thought(robot: FakeRobot, tiny: Path) -> None:
    policy = ListeningPolicy(Policy.load(tiny))
    supervisor = supervise(robot, policy, OPTIONS, until(thought(2, "failed")), SlowReasoner(fails=2))
    assert supervisor.run() is ExitReason.COMPLETED
    assert said(supervisor, "thought failed") == ["the head is empty; acting on 'thought 1'"]
    assert policy.told[-1] == "thought 1"


@pytest.mark.parametrize("ends", [True, False])
def test_a_recovered_robot_sets_out_on_a_thought_of_what_it_sees_now(
    robot: FakeRobot, tiny: Path, *, ends: bool
) -> None:
    """Nobody knows what happened while it held: what it thought before, it does not act on."""
    reasoner, policy = SlowReasoner(), ListeningPolicy(Policy.load(tiny))
    held: list[tuple[int, int]] = []

    def come_back(supervisor: Supervisor) -> None:
        held.append((reasoner.begun, len(policy.told)))
        if not ends:
            reasoner.stops = False
        threading.Timer(0.1, setattr, (robot, "stalled", False)).start()
        assert supervisor.inference.thoughts.text

    parts = (
        when(lambda supervisor: supervisor.elapsed_s > 0.3, lambda _: setattr(robot, "stalled", True)),
        when(lambda supervisor: supervisor.state is RunState.HOLDING and bool(robot.sent), come_back),
        until(
            lambda supervisor: (
                bool(held) and states(supervisor).count("running") == 2 and len(policy.told) > held[0][1] + 2
            )
        ),
    )

    def look(supervisor: Supervisor) -> None:
        for part in parts:
            part(supervisor)

    supervisor = supervise(robot, policy, RunOptions("go", thought_gap_s=0.2, recovery_s=5.0), look, reasoner)
    assert supervisor.run() is ExitReason.COMPLETED
    assert "recovered" in states(supervisor)
    ((begun, asked),) = held
    after = policy.told[asked:]
    # A chunk that was under way when the robot was stopped had been asked for before.
    assert after[0] == (f"thought {begun}" if ends else None)
    assert not {f"thought {number}" for number in range(begun)} & {*after}
    check_commands(robot)


def test_a_thought_that_never_fits_is_not_thought_while_the_robot_moves(robot: FakeRobot, tiny: Path) -> None:
    """A step takes as long as all rows of a chunk last; the robot is moved all the same."""
    reasoner = SlowReasoner(1, step_s=1.0)
    supervisor = supervise(robot, ListeningPolicy(Policy.load(tiny)), SHORT, reasoner=reasoner)
    assert supervisor.run() is ExitReason.COMPLETED
    assert reported(robot, tiny, supervisor)["thoughts"]["finished"] == 2
    assert states(supervisor).count("holding") == 1


def test_a_text_that_comes_with_the_chunks_is_shown(robot: FakeRobot, tiny: Path) -> None:
    policy = ListeningPolicy(Policy.load(tiny), "grasp the handle")
    supervisor = supervise(robot, policy, SHORT)
    assert supervisor.run() is ExitReason.COMPLETED
    assert said(supervisor, "thought") == ["'grasp the handle'"]
    report = reported(robot, tiny, supervisor)
    assert report["thoughts"]["with_chunks"] == report["chunks"]
    assert set(policy.told) == {None}, "it knows what it wrote"


def test_policies_that_write_nothing_have_no_thoughts(robot: FakeRobot, tiny: Path) -> None:
    supervisor = supervise(robot, ListeningPolicy(Policy.load(tiny)), SHORT)
    assert supervisor.run() is ExitReason.COMPLETED
    assert reported(robot, tiny, supervisor)["thoughts"] is None


def test_what_is_recorded_is_what_the_policy_acted_on(tiny: Path) -> None:
    recording = ObservationRecording(ListeningPolicy(Policy.load(tiny)))
    recording.infer({**Policy.load(tiny).example_observation(), THOUGHT_KEY: "grasp it"})
    [question] = recording.questions
    assert question.observation["language.instruction"] == "grasp it"
    assert THOUGHT_KEY not in question.observation
