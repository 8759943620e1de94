"""The live view, and that whatever becomes of its terminal never reaches the supervisor."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.run.processes import eventually
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.outcome import RunState
from unichunk.runtime.policy import Policy
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor
from unichunk.server.live_view import LEAVE_S, LiveView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.run.fake_robot import FakeRobot


@pytest.fixture
def supervisor(robot: FakeRobot, tiny: Path) -> Supervisor:
    policy = Policy.load(tiny)
    adapter = EmbodimentAdapter(robot.spec, policy.robot)
    settings = robot_settings(robot.spec, policy, adapter)
    return Supervisor(robot, settings, policy, adapter, RunOptions("go"))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def view_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "live view"]


def test_lines_where_there_is_no_terminal(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.events.add("connecting", "waiting")
    with (tmp_path / "said").open("w") as stream, LiveView("policy on robot", 2.0, supervisor, stream):
        eventually((tmp_path / "said").read_text)
        supervisor.state = RunState.RUNNING
        supervisor.events.add("running", "")
        eventually(lambda: "time " in (tmp_path / "said").read_text())
        supervisor.state = RunState.STOPPED
        supervisor.events.add("holding", "Traceback\n  somewhere\nOSError: it broke")
        supervisor.events.add("stopped", "over")
    lines = (tmp_path / "said").read_text().splitlines()
    assert [line for line in lines if not line.startswith("time ")] == [
        *("connecting: waiting", "running", "holding: OSError: it broke", "stopped: over")
    ]
    assert "time 0.0 of 2 s, commands" in lines[2]


def test_more_events_than_are_kept(supervisor: Supervisor, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as stream, LiveView("policy on robot", None, supervisor, stream):
        supervisor.events.add("first", "")
        eventually((tmp_path / "said").read_text)
        for number in range(300):
            supervisor.events.add("many", str(number))
    lines = (tmp_path / "said").read_text().splitlines()
    assert lines[-1] == "many: 299"
    assert len(lines) == len(set(lines))


def test_a_panel_in_a_terminal(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    supervisor.note = "q[3] is 2 [rad], [/expected] 1 [rad]"
    with os.fdopen(theirs, "w") as stream, LiveView("policy on robot", 2.0, supervisor, stream):
        shown = b""
        while b"interventions" not in shown or b"[/expected]" not in shown:
            shown += os.read(ours, 4096)
    os.close(ours)
    assert "policy on robot" in shown.decode()


def test_a_stream_that_takes_nothing_delays_the_end_a_second_at_most(
    supervisor: Supervisor, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    fill(writer)
    with os.fdopen(os.dup(writer), "w") as stream:
        begun = time.monotonic()
        with LiveView("policy on robot", None, supervisor, stream):
            supervisor.events.add("connecting", "waiting")
            supervisor.state = RunState.RUNNING
            assert time.monotonic() - begun < 0.5
            time.sleep(0.2)
        assert time.monotonic() - begun < LEAVE_S + 0.7
    assert view_threads()
    os.set_blocking(reader, False)
    while view_threads():
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 65536)


def fill(writer: int) -> None:
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stream_that_breaks_ends_the_view_alone(
    supervisor: Supervisor, pipe: tuple[int, int], terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    reader, writer = pipe
    os.close(reader)
    before = os.dup(sys.stdout.fileno())
    with os.fdopen(os.dup(writer), "w") as stream, LiveView("policy on robot", None, supervisor, stream):
        supervisor.events.add("connecting", "waiting")
        eventually(lambda: not view_threads())
    # Rich, left alone, would have sent it nowhere.
    assert os.path.sameopenfile(sys.stdout.fileno(), before)
    os.close(before)


def test_a_closed_stream(supervisor: Supervisor, tmp_path: Path) -> None:
    stream = (tmp_path / "said").open("w")
    stream.close()
    with LiveView("policy on robot", None, supervisor, stream):
        eventually(lambda: not view_threads())


def test_no_stream_at_all(supervisor: Supervisor) -> None:
    with LiveView("policy on robot", None, supervisor, None):
        eventually(lambda: not view_threads())
