"""One robot's line: what it is answered never depends on who drives, and whatever fails, it holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.evaluation.blinded_robot import SPEC, BlindedRobot, FakePolicy, H
from unichunk.runtime.errors import PolicyError, PolicyLate
from unichunk.server.evaluation.blinding.mode import Mode
from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
from unichunk.server.evaluation.errors import NotNow
from unichunk.server.wire.openpi import unpack

if TYPE_CHECKING:
    from unichunk.server.evaluation.blinding.episodes import Step
    from unichunk.server.evaluation.blinding.hidden_policy import Predicted

pytestmark = pytest.mark.asyncio
SIMULATED = ProxyOptions(sim_robots=True)


def _not_finite(chunk: Predicted) -> Predicted:
    joints = chunk.joints.copy()
    joints[-1, 0] = np.nan
    return replace(chunk, joints=joints)


def _raise(error: Exception) -> Predicted:
    raise error


FAILURES = {
    "raises": lambda chunk: _raise(PolicyError("with its name in it")),
    "is broken": lambda chunk: _raise(ZeroDivisionError("anything")),
    "answers NaN": _not_finite,
    "answers other rows": lambda chunk: replace(chunk, joints=chunk.joints[:-1]),
    "answers other joints": lambda chunk: replace(chunk, joints=chunk.joints[:, :-1]),
}


class Kept:
    """A recorder that keeps steps in memory."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.step = self.steps.append
        self.finished = False

    def finish(self) -> None:
        self.finished = True


async def test_a_trial_from_beginning_to_end() -> None:
    robot = BlindedRobot()
    robot.joints = (SPEC.rest + 0.2).astype(np.float32)
    assert unpack((await robot.said())["bytes"])["rows"] == H
    first = await robot.ask()
    np.testing.assert_array_equal(first, np.tile((SPEC.rest + 0.2).astype(np.float32), (H, 1)))
    await robot.until(lambda: robot.line.view().connected)
    robot.drive.home()
    await robot.until(lambda: robot.line.view().at_home)
    robot.drive.run("t1", 0, "wave")
    await robot.until(lambda: robot.joints[0] > SPEC.rest[0] + 0.1)
    robot.drive.hold()
    held = await robot.ask()
    for _ in range(3):
        np.testing.assert_array_equal(await robot.ask(), np.tile(held[-1], (H, 1)))
    assert len(robot.lengths) == 1
    assert robot.events == []
    asked = robot.hosts[0].made[0].asked
    assert {seen.instruction for seen in asked} == {"wave"}
    assert len({seen.trial_seed for seen in asked}) == 1
    assert [trial.id for trial in robot.ended] == ["t1"]
    assert robot.ended[0].rows.counts.intact == robot.ended[0].rows.counts.chunks > 0
    await robot.end()


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_policy_that_fails_leads_to_holding_and_is_connected_again(failure: str) -> None:
    robot = BlindedRobot(options=SIMULATED)
    await robot.ready(lockstep=True)
    robot.drive.run("t1", 1, "wave")
    await robot.ask()
    await robot.ask()
    robot.hosts[1].made[0].behave = FAILURES[failure]
    await robot.until(lambda: robot.events)
    assert robot.events == [("t1", "policy lost")]
    assert robot.drive.buffer.mode is Mode.HOLD
    held = await robot.ask()
    np.testing.assert_array_equal(await robot.ask(), np.tile(held[-1], (H, 1)))
    assert len(robot.lengths) == 1
    # Nobody sees that it was a policy: the robot may be sent home at once, and is there once all policies are.
    assert robot.line.view().connected
    await robot.until(lambda: robot.line.ready)
    assert len(robot.hosts[1].made) == 2
    assert robot.hosts[1].made[0].closed
    assert robot.hosts[1].ended == 0
    robot.drive.run("t2", 1, "wave")
    await robot.until(lambda: robot.joints[0] < held[-1, 0] - 0.05)
    await robot.end()


async def test_a_policy_that_hangs_leads_to_holding_and_begins_anew() -> None:
    robot = BlindedRobot(options=ProxyOptions(policy_lost_s=0.05))
    await robot.ready()
    robot.hosts[0].made[0].gate.clear()
    robot.drive.run("t1", 0, "wave")
    await robot.until(lambda: robot.events)
    assert robot.events == [("t1", "policy lost")]
    await robot.until(lambda: robot.line.ready)
    assert robot.hosts[0].ended == 1
    robot.hosts[0].made[0].gate.set()
    held = await robot.ask()
    np.testing.assert_array_equal(await robot.ask(), np.tile(held[-1], (H, 1)))
    await robot.end()


async def test_a_policy_that_is_late_once_is_asked_again() -> None:
    robot = BlindedRobot(options=SIMULATED)
    await robot.ready(lockstep=True)
    policy = robot.hosts[0].made[0]
    policy.behave = lambda chunk: _raise(PolicyLate("no answer")) if len(policy.asked) < 3 else chunk
    robot.drive.run("t1", 0, "wave")
    await robot.until(lambda: robot.joints[0] > SPEC.rest[0] + 0.05)
    assert robot.events == []
    assert robot.drive.trial == "t1"
    await robot.end()


async def test_a_chunk_of_an_older_trial_never_reaches_a_newer_one() -> None:
    robot = BlindedRobot(slopes=(0.02, -0.001))
    await robot.ready()
    old = robot.hosts[0].made[0]
    old.gate.clear()
    robot.drive.run("t1", 0, "wave")
    await robot.until(lambda: old.asked)
    robot.drive.hold()
    robot.drive.run("t2", 1, "wave")
    start = float(robot.joints[0])
    old.gate.set()
    await robot.until(lambda: robot.joints[0] < start - 0.05)
    rows = np.concatenate([await robot.ask() for _ in range(4)])
    assert (np.diff(rows[:, 0]) <= 1e-6).all()
    assert robot.events == []
    await robot.end()


async def test_a_failure_of_an_older_trial_is_none_of_a_newer_one() -> None:
    robot = BlindedRobot()
    await robot.ready()
    old = robot.hosts[0].made[0]
    old.behave = FAILURES["is broken"]
    old.gate.clear()
    robot.drive.run("t1", 0, "wave")
    await robot.until(lambda: old.asked)
    robot.drive.run("t2", 1, "wave")
    old.gate.set()
    await robot.until(lambda: robot.joints[0] < SPEC.rest[0] - 0.1)
    assert robot.events == []
    assert robot.drive.trial == "t2"
    await robot.end()


async def test_nobody_waits_for_a_policy_that_has_answered() -> None:
    robot = BlindedRobot()
    await robot.ready()
    robot.drive.run("t1", 0, "wave")
    trial = robot.drive._trial
    assert trial is not None
    await robot.ask()
    await robot.until(lambda: trial.rows.counts.chunks and trial.rows.waits_at is None)
    assert trial.watch is None
    assert robot.events == []
    await robot.end()


async def test_a_simulation_waits_for_the_chunk_that_its_rows_depend_on() -> None:
    robot = BlindedRobot(options=SIMULATED)
    await robot.ready(lockstep=True)
    policy = robot.hosts[0].made[0]
    policy.gate.clear()
    robot.drive.run("t1", 0, "wave")
    await robot.ask()
    await robot.send()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(robot.rows(), 0.05)
    policy.gate.set()
    assert (await robot.rows())[-1, 0] > SPEC.rest[0] + 0.03
    for _ in range(5):
        await robot.ask()
    robot.drive.hold()
    assert robot.ended[0].rows.counts.underruns == 0
    assert robot.ended[0].rows.counts.chunks == len(policy.asked) - 1 + (robot.ended[0].rows.waits_at is None)
    await robot.end()


@pytest.mark.parametrize("lockstep", [False, True])
async def test_the_times_of_an_episode_do_not_tell_how_long_a_simulation_waited(lockstep: bool) -> None:
    robot = BlindedRobot(options=SIMULATED)
    await robot.ready(lockstep=lockstep)
    robot.recorder = Kept()
    robot.drive.run("t1", 0, "wave")
    for _ in range(4):
        robot.now += 0.7
        await robot.ask()
    steps = robot.recorder.steps
    apart_s = H / SPEC.action_hz if lockstep else 0.7
    np.testing.assert_allclose(np.diff([step.time_s for step in steps]), apart_s)
    assert np.diff([step.tick for step in steps]).tolist() == [H, H, H]
    robot.drive.hold()
    assert robot.recorder.finished
    await robot.end()


async def test_lockstep_is_for_servers_that_were_started_for_it() -> None:
    robot = BlindedRobot()
    await robot.ready(lockstep=True)
    assert not robot.drive.lockstep
    await robot.end()


async def test_a_robot_that_falls_silent_while_it_runs_is_lost() -> None:
    robot = BlindedRobot()
    await robot.ready()
    robot.drive.run("t1", 0, "wave")
    await robot.ask()
    robot.now += 0.9
    robot.line.look()
    assert robot.events == []
    robot.now += 0.2
    robot.line.look()
    assert robot.events == [("t1", "robot lost")]
    assert robot.drive.buffer.mode is Mode.HOLD
    await robot.end()


async def test_a_robot_that_hangs_up_while_it_runs_is_lost() -> None:
    robot = BlindedRobot()
    await robot.ready()
    robot.drive.run("t1", 0, "wave")
    await robot.ask()
    await robot.raw(None)
    await asyncio.wait_for(robot.serving, 5)
    assert robot.events == [("t1", "robot lost")]
    assert not robot.line.view().connected
    await robot.end()


async def test_the_task_is_done_when_the_robot_says_so() -> None:
    robot = BlindedRobot()
    await robot.ready()
    robot.drive.home()
    await robot.ask(done=True)
    assert robot.drive.buffer.mode is Mode.HOME
    robot.drive.run("t1", 0, "wave")
    assert robot.events == []
    await robot.ask(done=True)
    assert robot.events == [("t1", "task done")]
    assert robot.drive.buffer.mode is Mode.HOLD
    await robot.end()


@pytest.mark.parametrize("drives", [False, True])
@pytest.mark.parametrize("data", [b"\xc1", b"", b"\x80"])
async def test_a_bad_request_is_told_the_same_whoever_drives(data: bytes, drives: bool) -> None:
    robot = BlindedRobot()
    await robot.ready()
    if drives:
        robot.drive.run("t1", 0, "wave")
    await robot.raw(data)
    assert (await robot.said())["text"] == "bad request"
    assert await robot.said() == {"type": "websocket.close", "code": 1008, "reason": ""}
    assert robot.events == [("t1", "robot lost")] * drives
    await robot.end()


async def test_ticks_that_go_back_end_the_connection() -> None:
    robot = BlindedRobot()
    await robot.ready()
    await robot.ask(tick=1000)
    await robot.send(tick=999)
    assert (await robot.said())["text"] == "bad request"
    await robot.end()


async def test_another_connection_takes_over_only_once_the_first_is_silent() -> None:
    robot = BlindedRobot()
    await robot.ready()
    assert robot.line.taken
    robot.now += 1.1
    assert not robot.line.taken
    robot.drive.run("t1", 0, "wave")
    before, robot.joints, robot.tick = robot.serving, (SPEC.rest + 0.1).astype(np.float32), 5
    robot.connect()
    await robot.said()
    assert robot.events == [("t1", "robot lost")]
    np.testing.assert_array_equal(await robot.ask(), np.tile((SPEC.rest + 0.1).astype(np.float32), (H, 1)))
    before.cancel()
    await asyncio.gather(before, return_exceptions=True)
    assert robot.line.view().connected
    await robot.end()


async def test_nothing_runs_before_every_policy_is_warm() -> None:
    robot = BlindedRobot()
    await robot.said()
    with pytest.raises(NotNow):
        robot.drive.run("t1", 0, "wave")
    assert robot.drive.buffer.mode is Mode.HOLD
    await robot.end()


async def test_a_policy_that_cannot_be_connected_is_said_to_whoever_runs_the_server_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("unichunk.server.evaluation.blinding.seats.AGAIN_S", 0.01)
    robot = BlindedRobot()
    attempts: list[int] = []

    def make() -> FakePolicy:
        attempts.append(1)
        if len(attempts) == 1:
            raise PolicyError("policy 'secret 0': not there")
        return FakePolicy(0.0)

    robot.hosts[0]._make = make
    await robot.ready()
    assert robot.troubles == ["policy 'secret 0': not there"]
    assert len(robot.lengths) == 1
    await robot.end()


async def test_a_policy_that_died_shows_in_nothing_but_when_the_robot_is_at_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("unichunk.server.evaluation.blinding.seats.AGAIN_S", 0.01)
    robot = BlindedRobot(options=SIMULATED)
    await robot.ready(lockstep=True)
    there = False

    def make() -> FakePolicy:
        if not there:
            raise PolicyError("not there yet")
        return FakePolicy(0.0)

    robot.hosts[1]._make = make
    robot.drive.run("t1", 1, "wave")
    robot.hosts[1].made[0].behave = FAILURES["raises"]
    await robot.until(lambda: robot.events)
    robot.drive.home()
    await robot.until(lambda: robot.drive.buffer.at_home)
    view = robot.line.view()
    assert (view.connected, view.at_home) == (True, False)
    there = True
    await robot.until(lambda: robot.line.view().at_home)
    await robot.end()


async def test_chunks_that_are_too_short_for_the_plan_are_refused() -> None:
    robot = BlindedRobot(equalized_ticks=14)
    await robot.said()
    while not robot.troubles:
        await robot.ask()
    assert "equalized_ticks = 14" in robot.troubles[0]
    assert "at most 12" in robot.troubles[0]
    await robot.end()
