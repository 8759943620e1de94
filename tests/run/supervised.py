"""A supervisor with real threads, for tests: patient, and with its commands checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.outcome import RunState
from unichunk.runtime.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.fake_robot import FakeRobot
    from unichunk.runtime.chunk_policy import ChunkPolicy
    from unichunk.runtime.reasoning import Reasoner
    from unichunk.runtime.run_options import RunOptions

PATIENCE_S = 1.0

WARM = 13
"""Inferences before the robot moves: cold, warm; the ramp's goal is one more."""


def supervise(
    robot: FakeRobot,
    policy: ChunkPolicy,
    options: RunOptions,
    look: Callable[[Supervisor], None] = lambda _: None,
    reasoner: Reasoner | None = None,
) -> Supervisor:
    adapter = EmbodimentAdapter(robot.spec, joint_entry(robot.spec))
    # More patient than the real robot: a busy machine must not look like a dead driver.
    settings = replace(
        robot_settings(robot.spec, policy, adapter), watchdog_s=PATIENCE_S, observation_max_age_s=1.5 * PATIENCE_S
    )
    return Supervisor(robot, settings, policy, adapter, options, look, reasoner)


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
