"""Reports: what is in them beside numbers, and where they go when their place does not take them."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.errors import ReportError
from unichunk.runtime.policy import Policy
from unichunk.runtime.producer import ChunkRecord, Commitment
from unichunk.runtime.report import build_report, check_report_path, rescue_report, write_report
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.fake_robot import FakeRobot


def record(chunk: int, first: int) -> ChunkRecord:
    commitment = Commitment(
        chunk, 10 * chunk, 2, np.zeros((8, 200), np.float32), np.zeros(6), np.zeros(6), 0, 0, saturated=False
    )
    return ChunkRecord(
        commitment, first, first - 2, intact=True, latency_ns=150_000_000, lost=first == 8, seam=0.01 * (first - 2)
    )


def test_late_chunks_the_driver_and_its_end(robot: FakeRobot, tiny: Path) -> None:
    policy = Policy.load(tiny)
    adapter = EmbodimentAdapter(robot.spec, policy.robot)
    settings = robot_settings(robot.spec, policy, adapter)
    supervisor = Supervisor(robot, settings, policy, adapter, RunOptions("go"))
    for chunk, first in enumerate([2, 4, 2, 8]):
        supervisor.inference.telemetry.chunk(record(chunk, first))
    gates = np.array([[0.5, 1.0], [0.25, 0.75]], np.float32)
    supervisor.inference.telemetry.refinement.add(gates, 2 * gates)
    supervisor.inference.telemetry.refinement.add(np.zeros_like(gates), gates)
    supervisor.inference.telemetry.refinement.add(None, None)
    supervisor.driver_status = {"counters": {"accepted": 7}}
    report = build_report(supervisor, settings, {}, driver_said="it ended")
    assert report["late_chunk_events"] == [
        {
            "chunk": 1,
            "t0": 10,
            "d": 2,
            "first": 4,
            "dropped": 2,
            "lost": False,
            "latency_ms": 150.0,
            "seam_rad": 0.02,
            "intact": True,
        },
        {
            "chunk": 3,
            "t0": 30,
            "d": 2,
            "first": 8,
            "dropped": 6,
            "lost": True,
            "latency_ms": 150.0,
            "seam_rad": 0.06,
            "intact": True,
        },
    ]
    assert report["lost_chunks"] == 1
    assert report["refinement"] == {
        "chunks": 2,
        "mean_gates": [[0.25, 0.5], [0.125, 0.375]],
        "mean_discrepancies": [[0.75, 1.5], [0.375, 1.125]],
        "gate_range": [0.0, 1.0],
    }
    assert report["driver"] == {"counters": {"accepted": 7}}
    assert report["driver_said"] == "it ended"


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "taken"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    before = path.lstat()
    with pytest.raises(ReportError, match="give the name of a"):
        check_report_path(path)
    assert path.lstat().st_mode == before.st_mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="File name too long"):
        check_report_path(tmp_path / ("x" * 300))


def test_a_new_place_and_an_old_file_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    for number in range(2):
        check_report_path(path)
        write_report(path, {"number": number})
        assert json.loads(path.read_text()) == {"number": number}
    assert [entry.name for entry in path.parent.iterdir()] == ["report.json"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    check_report_path(path)
    path.mkdir()
    with refused(ReportError, f"report {path}: cannot be written (Is a directory)"):
        write_report(path, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_rescued_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = rescue_report({"chunks": 3})
    assert path.parent == tmp_path
    assert json.loads(path.read_text()) == {"chunks": 3}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with refused(ReportError, f"nor in {tmp_path}/nowhere (No such file or directory)"):
        rescue_report({})
