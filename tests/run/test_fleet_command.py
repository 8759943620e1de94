"""`unichunk fleet` as a user meets it: several robots, one policy, each robot's own process and report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.policy.tiny_bundle import write_tiny_bundle
from tests.run.processes import eventually, report_of, start
from unichunk.server import fleet_command
from unichunk.server.fleet_command import Fleet, labels, worst_status
from unichunk.server.fleet_robot import FleetRobot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SOME_TIME_S = 2.0
"""After this much time a robot that the death of another could have stopped would have stopped."""


def test_robots_of_the_same_name_are_numbered() -> None:
    assert labels(["so101", "g1_o6"]) == ["so101", "g1_o6"]
    assert labels(["so101", "d1", "so101"]) == ["so101-1", "d1", "so101-2"]


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [([0, 0], 0), ([0, 130], 130), ([143, 0, 6], 6), ([130, 5, 4], 5), ([137, 0], 137), ([130, 3], 3)],
)
def test_the_worst_status(statuses: list[int], worst: int) -> None:
    assert worst_status(statuses) == worst


@pytest.mark.parametrize(
    ("status", "arguments", "words"),
    [
        (2, {"embodiments": (), "sim": True}, "expected the names of robots"),
        (3, {"embodiments": ("so101", "so102"), "sim": True}, "unknown embodiment 'so102'"),
        (2, {"embodiments": ("so101", "so101")}, "either --sim"),
        (2, {"embodiments": ("so101", "so101"), "sim": True, "driver": ("ipc:///tmp/a",)}, "either --sim"),
        (2, {"embodiments": ("so101", "so101"), "driver": ("ipc:///tmp/a",)}, "expected one endpoint each for 2"),
        (3, {"embodiments": ("so101",), "sim": True, "policy": Path("other")}, "drives g1_o6, not so101"),
        (3, {"embodiments": ("so101", "d1"), "sim": True}, "no policy ships that drives all of so101, d1"),
        (3, {"embodiments": ("so101",), "sim": True, "policy": Path("nowhere")}, "host did not come up (status 3)"),
    ],
)
def test_refusals(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    arguments: dict[str, Any],
    words: str,
) -> None:
    write_tiny_bundle(tmp_path / "other", embodiments=["g1_o6"], denoising_steps=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fleet_command, "shipped_bundles", lambda *names: [])
    assert Fleet(**arguments)() == status
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("unichunk fleet: ")
    assert len(errors.splitlines()) == 1
    assert words in errors
    assert not (tmp_path / "runs").exists()


@pytest.mark.processes
def test_a_run_that_does_not_end_when_told_to_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\ntrap '' TERM\necho ready\necho trouble >&2\nwhile true; do sleep 0.1; done\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr("unichunk.server.fleet_robot.END_S", 0.3)
    robot = FleetRobot("so101-2", [])
    eventually(lambda: robot._said)
    robot.signal(signal.SIGTERM)
    robot.end()
    assert not robot.running()
    assert robot.status == 128 + signal.SIGKILL
    assert "so101-2: trouble\n" in capsys.readouterr().err


@contextmanager
def fake_robots(count: int) -> Iterator[list[str]]:
    """Drivers of robots that are no work to simulate; their endpoints."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="unichunk-"))
        endpoints = [f"ipc://{folder}/{i}.ipc" for i in range(count)]
        for endpoint in endpoints:
            command = [sys.executable, "-m", "tests.drivers.fake_driver", endpoint]
            driver = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(driver.terminate)
        eventually(lambda: all(Path(endpoint.removeprefix("ipc://")).exists() for endpoint in endpoints), 20)
        yield endpoints


@contextmanager
def running_fleet(tiny: Path, folder: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """A fleet of fake robots, all of which are being driven."""
    (folder / "tmp").mkdir()
    with fake_robots(count) as endpoints:
        options = ["--policy", str(tiny), "--reports", str(folder / "runs"), "--duration", "60"]
        for endpoint in endpoints:
            options += ["--driver", endpoint]
        with start("fleet", *["so101"] * count, *options, folder=folder) as process:
            try:
                assert process.stderr is not None
                waiting = {f"{name}: time" for name in labels(["so101"] * count)}
                for line in process.stderr:
                    waiting -= {beginning for beginning in waiting if line.startswith(beginning)}
                    if not waiting:
                        break
                assert not waiting
                yield process
            finally:
                process.kill()


def children(folder: Path, of: Callable[[bytes], bool]) -> list[int]:
    """Processes that a fleet in this folder has started, by their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder / "tmp") in command and of(command):
                found.append(int(entry.name))
    return found


@pytest.mark.processes
def test_what_dies_and_who_goes_on(tiny: Path, tmp_path: Path) -> None:
    """The death of one robot's runtime is nothing to the other; that of the policy's process holds it."""
    with running_fleet(tiny, tmp_path, 2) as process:
        assert process.stderr is not None
        (second,) = children(tmp_path, lambda command: b"\0run\0" in command and b"so101-2.json" in command)
        os.kill(second, signal.SIGKILL)
        assert any(
            line.startswith("so101-1: time") and float(line.split()[2]) >= SOME_TIME_S for line in process.stderr
        )
        (host,) = children(tmp_path, lambda command: b"\0serve\0" in command)
        os.kill(host, signal.SIGKILL)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 137, errors
    assert "the policy host ended (killed by SIGKILL)" in errors
    assert "so101-1: policy_fault" in output
    assert "so101-2: ended without a summary, status 137" in output
    (path,) = (tmp_path / "runs").iterdir()
    report = report_of(path)
    assert report["exit_reason"] == "policy_fault"
    assert "an outage of 3 s is ridden out; the policy server at ipc://" in report["exit_detail"]
    assert report["missed_answers"] > 0
    assert report["rejected_chunks"] == 0
    assert report["elapsed_s"] > SOME_TIME_S - 0.1  # the line had one decimal
    assert [event["kind"] for event in report["events"]][-2:] == ["holding", "stopped"]
    # The killed runtime could not clear away a thing; it had no simulated robot.
    assert not list((tmp_path / "tmp").glob("unichunk-*"))


@pytest.mark.processes
def test_a_signal_is_passed_on(tiny: Path, tmp_path: Path) -> None:
    with running_fleet(tiny, tmp_path, 1) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name.endswith("-so101.json")
    assert report_of(path)["exit_reason"] == "interrupted"
    assert not children(tmp_path, lambda _: True)
    assert not list((tmp_path / "tmp").glob("unichunk-*"))


@pytest.mark.processes
@pytest.mark.simulator
def test_two_simulated_robots_share_a_policy(tiny: Path, tmp_path: Path) -> None:
    arguments = ("--sim", "--duration", "2", "--policy", str(tiny), "--reports", "reports/today")
    with start("fleet", "so101", "so101", *arguments, folder=tmp_path) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.count(": completed: ran for 2 s as asked") == 2
    paths = sorted((tmp_path / "reports" / "today").iterdir())
    assert len(paths) == 2
    one, two = (report_of(path) for path in paths)
    assert (one["asked"]["seed"], two["asked"]["seed"]) == (0, 1)
    for report in (one, two):
        assert report["asked"]["policy"].startswith("ipc://")
        assert report["policy_ticks"] > 0
        assert report["chunks"] > 0
        assert report["delay_ticks"] >= 1
        # Late chunks are a busy machine's; without them, everything that was committed ran.
        assert report["commitment_violations"] == 0 or report["late_chunks"] or report["underruns"]
        assert report["exit_reason"] == "completed"
