"""`unichunk run` as a user meets it: a process, its exit status, its report, one clear line for what went wrong."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.run.processes import report_of, run, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes


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
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
def test_a_fault_of_the_robot_ends_in_a_report(tmp_path: Path) -> None:
    got, _, errors = run(
        *("run", "--embodiment", "so101", "--sim", "--duration", "60"),
        *("--report", "report.json", "--fault", "freeze_camera@1"),
        folder=tmp_path,
    )
    assert got == 5, errors
    report = report_of(tmp_path / "report.json")
    assert report["exit_reason"] == "sensor_fault"
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
