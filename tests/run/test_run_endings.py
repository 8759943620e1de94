"""How `unichunk run` ends: whatever the signal, the moment or the terminal, nothing is lost and nothing left behind."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pyproject import ROOT
from tests.run.processes import drivers, eventually, nothing_left, report_of, run, start, wait_until_running
from unichunk.runtime.recorded_observations import RecordedObservations
from unichunk.server import simulated_driver
from unichunk.server.ready_process import ReadyProcess
from unichunk.server.run_command import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.processes, pytest.mark.simulator]

RUN = ("run", "--embodiment", "so101", "--sim", "--report", "report.json")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Shorter than `tmp_path`: the simulated robot's socket goes below it, and a socket's path must not be long."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "tmp").mkdir()
        yield Path(name)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_while_the_simulated_robot_comes_up(folder: Path, number: signal.Signals, status: int) -> None:
    with start(*RUN, folder=folder) as process:
        eventually(lambda: list((folder / "tmp").glob("unichunk-*")))
        process.send_signal(number)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == status
    assert "before the robot moved" in errors
    assert len(errors.splitlines()) == 1
    assert nothing_left(folder)


def test_many_signals_lose_neither_the_report_nor_the_driver(folder: Path) -> None:
    with start(*RUN, "--duration", "60", folder=folder) as process:
        wait_until_running(process)
        assert process.stdout is not None
        # The summary comes when everything has ended; from there on a signal may end the process in its own way.
        while process.poll() is None and not select.select([process.stdout], [], [], 0.01)[0]:
            if not nothing_left(folder):
                process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert report_of(folder / "report.json")["exit_reason"] == "interrupted"
    assert nothing_left(folder)


def test_a_killed_runtime_takes_its_simulated_robot_along(folder: Path) -> None:
    with start(*RUN, folder=folder) as process:
        wait_until_running(process)
        assert len(drivers(folder)) == 1
        process.kill()
        process.communicate(timeout=10)
    eventually(lambda: not drivers(folder))


def test_a_simulated_robot_that_dies_is_quoted(folder: Path) -> None:
    with start(*RUN, "--duration", "60", folder=folder) as process:
        wait_until_running(process)
        for driver in drivers(folder):
            os.kill(driver, signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 4
    report = report_of(folder / "report.json")
    assert report["exit_reason"] == "driver_lost"
    assert "holding" in [event["kind"] for event in report["events"]]
    said = report["driver_said"]
    assert said == "the simulated driver ended (killed by SIGKILL): without a word"
    assert errors.splitlines()[-1] == f"unichunk run: {said}"


class DyingDriver(ReadyProcess):
    def __init__(self, folder: Path, embodiment: str, options: Sequence[str]) -> None:
        self.endpoint = f"ipc://{folder / 'driver'}.ipc"
        arguments = ["--embodiment", embodiment, "--sim", "--endpoint", self.endpoint, *options]
        module = "tests.run.dying_driver"
        super().__init__("the simulated driver", module, arguments, folder / "said", start_s=30.0, end_s=5.0)


@pytest.mark.parametrize(("way", "said"), [("signal", "killed by SIGKILL"), ("exception", "no such arm")])
def test_a_simulated_robot_that_dies_at_the_end_is_not_a_run_as_asked(
    folder: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str, said: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DIES_BY", way)
    monkeypatch.setattr(simulated_driver, "SimulatedDriver", DyingDriver)
    path = folder / "report.json"
    assert Run("so101", sim=True, policy=str(tiny), duration=1.0, report=path)() == 4
    report = report_of(path)
    assert report["exit_reason"] == "completed"
    assert said in report["driver_said"]
    assert report["driver_said"] in capsys.readouterr().err


def test_a_terminal_that_takes_nothing_stops_nothing(folder: Path) -> None:
    """As after Ctrl-S: every write to the standard error blocks."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    begun = time.monotonic()
    with os.fdopen(writer, "w") as errors, start(*RUN, "--duration", "1", folder=folder, stderr=errors) as process:
        try:
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    os.close(reader)
    assert process.returncode == 0
    assert "completed" in output
    assert time.monotonic() - begun < 20
    assert report_of(folder / "report.json")["exit_reason"] == "completed"
    assert nothing_left(folder)


@pytest.mark.parametrize("stream", ["stderr", "both"])
def test_nobody_listens_any_more(folder: Path, stream: str) -> None:
    """As with `| head -1`: every write fails."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        process = start(
            *(*RUN, "--duration", "1"),
            folder=folder,
            stdout=subprocess.DEVNULL if stream == "stderr" else broken,
            stderr=subprocess.DEVNULL if stream == "stdout" else broken,
        )
        with process:
            assert process.wait(30) == 0
    assert report_of(folder / "report.json")["exit_reason"] == "completed"
    assert nothing_left(folder)


@pytest.mark.parametrize(("fault", "expected"), [((), 8), (("--fault", "die@1.5"), 4)])
def test_a_report_whose_folder_goes_is_rescued(folder: Path, fault: tuple[str, ...], expected: int) -> None:
    arguments = ("run", "--embodiment", "so101", "--sim", "--duration", "3", "--report", "reports/report.json", *fault)
    with start(*arguments, folder=folder) as process:
        wait_until_running(process)
        shutil.rmtree(folder / "reports")
        output, errors = process.communicate(timeout=30)
    assert process.returncode == expected
    (rescued,) = (folder / "tmp").glob("unichunk-*")
    assert report_of(rescued)["policy_ticks"] > 0
    assert "chunks" in output
    assert f"it is in {rescued} instead" in errors.splitlines()[-1]


def test_recordings_that_cannot_be_written_are_told_and_the_report_is_written(folder: Path) -> None:
    (folder / "there").mkdir()
    observed = ("--record-observations", "there/seen.npz")
    with start(*RUN, "--duration", "3", "--record", "there", *observed, folder=folder) as process:
        wait_until_running(process)
        shutil.rmtree(folder / "there")
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 8
    assert "report report.json" in output
    driver = (
        "the simulated driver ended (status 1): "
        "recording there/set_points.npz: cannot be written (No such file or directory)"
    )
    assert errors.splitlines()[-3:] == [
        "unichunk run: recording there/commands.npz: cannot be written (No such file or directory)",
        f"unichunk run: {driver}",
        "unichunk run: recording there/seen.npz: cannot be written (No such file or directory)",
    ]
    report = report_of(folder / "report.json")
    assert (report["exit_reason"], report["driver_said"]) == ("completed", driver)
    assert nothing_left(folder)


def test_a_listing_that_nobody_reads_to_its_end(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken, start("embodiments", folder=folder, stdout=broken) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""


def test_everything_that_happens_is_told_and_what_was_asked_is_kept(folder: Path) -> None:
    status, _, errors = run(*RUN, "--duration", "1", "--record-observations", "seen.npz", folder=folder)
    assert status == 0
    seen = RecordedObservations.read(folder / "seen.npz")
    assert seen.embodiment == "so101"
    assert {question.observation["language.instruction"] for question in seen.questions} == {"follow the red block"}
    assert any(question.previous_chunk is not None for question in seen.questions)
    told = [line.partition(":")[0] for line in errors.splitlines() if not line.startswith("time ")]
    assert told == [event["kind"] for event in report_of(folder / "report.json")["events"]]
