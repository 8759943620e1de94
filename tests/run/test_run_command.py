"""`unichunk run` as a user meets it: a process, its exit status, its report, one clear line for what went wrong."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.policy.tiny_bundle import write_tiny_bundle
from tests.run.processes import report_of, run, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes


def refused(*arguments: str, folder: Path, status: int = 3) -> str:
    """Run what must be refused; return its one line."""
    got, output, errors = run("run", *arguments, folder=folder)
    assert got == status, errors
    assert output == ""
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("unichunk run: ")
    return errors


def test_unknown_embodiment(tmp_path: Path) -> None:
    line = refused("--embodiment", "so100", "--sim", folder=tmp_path)
    assert "'so100'" in line
    assert "so101" in line


def test_neither_simulator_nor_driver(tmp_path: Path) -> None:
    assert "either --sim" in refused("--embodiment", "so101", folder=tmp_path, status=2)


@pytest.mark.parametrize("duration", ["0", "-1", "nan"])
def test_a_duration_that_is_none(tmp_path: Path, duration: str) -> None:
    arguments = ("--embodiment", "so101", "--sim", "--duration", duration)
    assert "--duration" in refused(*arguments, folder=tmp_path, status=2)


@pytest.mark.parametrize("duration", ["inf", "3601"])
def test_a_run_too_long_to_be_recorded_is_refused(tmp_path: Path, duration: str) -> None:
    arguments = ("--embodiment", "so101", "--sim", "--duration", duration, "--record", str(tmp_path))
    said = refused(*arguments, folder=tmp_path, status=2)
    assert f"--record: expected a --duration of at most 3600 s, got {duration}" in said


def test_no_bundle(tmp_path: Path) -> None:
    line = refused("--embodiment", "so101", "--sim", "--policy", "nowhere", folder=tmp_path)
    assert "nowhere" in line
    assert "bundle.json" in line


def test_a_bundle_for_another_robot(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "other", embodiments=["g1_o6"])
    line = refused("--embodiment", "so101", "--sim", "--policy", "other", folder=tmp_path)
    assert "g1_o6" in line
    assert "so101" in line


def test_refinement_rounds_that_the_bundle_has_no_graph_for(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "tiny")
    arguments = ("--embodiment", "so101", "--sim", "--policy", "tiny", "--refinement-rounds", "5")
    line = refused(*arguments, folder=tmp_path)
    assert "no graph with 5 refinement rounds" in line
    assert "0, 1" in line


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = refused("--embodiment", "so101", "--sim", "--report", "file/report.json", folder=tmp_path)
    assert "file/report.json" in line
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_report_path_that_is_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refused("--embodiment", "so101", "--sim", "--report", ".", folder=tmp_path)


def test_a_report_path_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refused("--embodiment", "so101", "--sim", "--report", "pipe", folder=tmp_path)


@pytest.mark.parametrize("name", ["commands.npz", "set_points.npz"])
def test_a_recording_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    line = refused("--embodiment", "so101", "--sim", "--report", "report.json", "--record", ".", folder=tmp_path)
    assert f"recording {name}: is a folder" in line
    assert not (tmp_path / "report.json").exists()


def test_an_endpoint_that_is_none(tmp_path: Path) -> None:
    assert "ipc:///" in refused("--embodiment", "so101", "--driver", "localhost:5600", folder=tmp_path)


def test_an_absent_driver_is_reported_and_exits_4(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/nobody.ipc"
    status, output, _ = run(
        "run", "--embodiment", "so101", "--driver", endpoint, "--report", "report.json", folder=tmp_path
    )
    assert status == 4
    assert "is `unichunk driver so101` running?" in output
    report = report_of(tmp_path / "report.json")
    assert report["exit_reason"] == "driver_lost"
    assert report["state"] == "stopped"
    assert report["ticks"] == 0


def test_embodiments_as_json(tmp_path: Path) -> None:
    status, output, _ = run("embodiments", "--json", folder=tmp_path)
    assert status == 0
    entries = {entry["name"]: entry for entry in json.loads(output)}
    assert entries["so101"]["action_hz"] == 20
    assert entries["so101"]["command_hz"] == 100
    assert entries["so101"]["twin"] is True


def test_a_driver_without_hardware_says_so(tmp_path: Path) -> None:
    status, _, errors = run("driver", "so101", folder=tmp_path)
    assert status != 0
    assert "--sim" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.simulator
def test_a_simulated_robot_that_cannot_render_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails after its address is taken, when its cameras are opened."""
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    line = refused("--embodiment", "so101", "--sim", "--report", "report.json", folder=tmp_path)
    assert "did not come up (status 1)" in line
    assert "libegl1" in line
    assert not (tmp_path / "report.json").exists()


@pytest.mark.simulator
def test_a_run_on_the_twin_with_the_shipped_policy(tmp_path: Path) -> None:
    status, output, errors = run(
        "run", "--embodiment", "so101", "--sim", "--duration", "3", "--report", "report.json", folder=tmp_path
    )
    assert status == 0, errors
    assert "completed" in output
    report = report_of(tmp_path / "report.json")
    assert report["ticks"] >= 60
    assert report["policy_ticks"] > 0
    assert report["delay_ticks"] >= 1
    for name in ("p50", "p95", "p99", "max"):
        assert report["chunk_latency_ms"][name] > 0
    for name in ("p50", "p99", "p999", "max"):
        assert name in report["lateness_us"]
    for name in ("underruns", "commitment_violations", "guard_interventions", "max_command_step"):
        assert report[name] >= 0
    assert set(report["task"]) >= {"policy_error_m", "other_error_m", "expert_error_m", "no_motion_error_m"}
    assert report["exit_reason"] == "completed"
    assert len(report["late_chunk_events"]) == min(report["late_chunks"], 64)
    assert report["driver"]
    assert report["driver_said"] == ""
    for joint, step in report["max_command_step_by_joint"].items():
        assert step <= report["command_step_limit_by_joint"][joint] + 1e-6


@pytest.mark.simulator
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_holds_the_robot_and_writes_the_report(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with start(
        "run", "--embodiment", "so101", "--sim", "--duration", "60", "--report", "report.json", folder=tmp_path
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("time "):
                break
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == status
    report = report_of(tmp_path / "report.json")
    assert [event["kind"] for event in report["events"]][-2:] == ["holding", "stopped"]


@pytest.mark.simulator
def test_an_open_ended_run_ends_as_asked_when_interrupted(tmp_path: Path) -> None:
    with start("run", "--embodiment", "so101", "--sim", "--report", "report.json", folder=tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("time "):
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert report_of(tmp_path / "report.json")["exit_reason"] == "interrupted"


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [("freeze_camera@1", 5, "sensor_fault"), ("stall_camera@1", 5, "sensor_fault"), ("die@1", 4, "driver_lost")],
)
def test_faults_of_the_robot_end_in_a_report(tmp_path: Path, fault: str, status: int, reason: str) -> None:
    got, _, errors = run(
        *("run", "--embodiment", "so101", "--sim", "--duration", "60"),
        *("--report", "report.json", "--fault", fault),
        folder=tmp_path,
    )
    assert got == status, errors
    report = report_of(tmp_path / "report.json")
    assert report["exit_reason"] == reason
    assert "holding" in [event["kind"] for event in report["events"]]


@pytest.mark.simulator
def test_a_driver_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    """The whole way, in processes: kill -9, start again at the same place, and the run goes on."""
    endpoint = f"ipc://{tmp_path}/driver.ipc"
    serve = ("driver", "so101", "--sim", "--endpoint", endpoint)
    first = start(*serve, folder=tmp_path)
    process = start(
        *("run", "--embodiment", "so101", "--driver", endpoint, "--duration", "4", "--report", "report.json"),
        folder=tmp_path,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("time "):
                break
        first.kill()
        first.communicate()
        time.sleep(0.5)
        second = start(*serve, folder=tmp_path)
        try:
            process.communicate(timeout=60)
        finally:
            second.terminate()
            second.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
        first.kill()
        first.communicate()
    report = report_of(tmp_path / "report.json")
    assert report["exit_reason"] == "completed"
    # The new driver knows of no task, which the report says as well.
    kinds = [event["kind"] for event in report["events"] if event["kind"] != "shutdown"]
    assert kinds[2:5] == ["running", "holding", "recovered"]
    assert kinds[-3:] == ["running", "holding", "stopped"]
    assert process.returncode == 0
