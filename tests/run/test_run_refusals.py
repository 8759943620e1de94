"""What `unichunk run` refuses, and how: one line and an exit status, before any robot moves."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.policy.tiny_bundle import write_tiny_bundle
from tests.run.processes import report_of, run

if TYPE_CHECKING:
    from pathlib import Path


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
    assert "no graph with 2 steps and 5 refinement rounds, this bundle has 2 steps and 0 refinement rounds" in line
    assert "2 steps and 1 refinement rounds" in line


def test_guidance_that_the_bundle_has_no_graph_for(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "tiny")
    line = refused("--embodiment", "so101", "--sim", "--policy", "tiny", "--guided", folder=tmp_path)
    assert "guided, this bundle has" in line
    assert "--guided" in line


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


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("commands.npz", "--record", "."),
        ("set_points.npz", "--record", "."),
        ("seen.npz", "--record-observations", "seen.npz"),
    ],
)
def test_a_recording_that_cannot_be_written(tmp_path: Path, name: str, option: str, value: str) -> None:
    (tmp_path / name).mkdir()
    line = refused("--embodiment", "so101", "--sim", "--report", "report.json", option, value, folder=tmp_path)
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
