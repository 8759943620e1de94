"""`unichunk bench network`: what it reads from reports and logs, and what it refuses."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from typing import Any

import pytest

from unichunk.benchmarks import network
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.networked.plan import LOCAL, LOSS, NETWORKS, OUTAGE, Cell, cells
from unichunk.benchmarks.networked.rows import COLUMNS, cells_of, first_answer_s, row_of, step_share

REPORT: dict[str, Any] = {
    "exit_reason": "completed",
    "exit_detail": "ran for 22 s as asked",
    "ticks": 440,
    "underruns": 0,
    "commitment_violations": 0,
    "late_chunks": 1,
    "lost_chunks": 0,
    "rejected_chunks": 2,
    "guard_interventions": 30,
    "missed_control_steps": 0,
    "missed_answers": 2,
    "longest_outage_s": 0.4,
    "chunks": 200,
    "delay_ticks_chunks": {"3": 50, "4": 150},
    "chunk_latency_ms": {"p50": 75.0, "p95": 90.0, "p99": 110.0, "max": 140.0},
    "lateness_us": {"p50": 50.0, "p99": 200.0, "p999": 500.0, "max": 900.0},
    "max_command_step_by_joint": {"a": 0.02, "b": 0.01},
    "command_step_limit_by_joint": {"a": 0.03, "b": 0.012},
    "task": {
        "success": True,
        "on_target_share": 1.0,
        "policy_error_m": 0.0115,
        "expert_error_m": 0.0055,
        "no_motion_error_m": 0.0511,
    },
    "remote": {
        "requests": 203,
        "answers": 200,
        "late_answers_dropped": 1,
        "unanswered": 2,
        "connections": 2,
        "refused": {"busy": 1},
        "round_trip_ms": {"p50": 55.0, "p99": 80.0, "max": 90.0},
    },
}
CELL = Cell(LOSS, "zmq", 22.0)


def test_a_row_holds_what_a_run_came_to() -> None:
    row = row_of(CELL, 0, REPORT)
    assert row["step_share"] == step_share(REPORT) == pytest.approx(0.01 / 0.012)
    assert row["errors_mm"] == {"policy": 11.5, "expert": 5.5, "no motion": 51.1}
    assert row["remote"]["connections"] == 2
    assert row["refused"] == {"busy": 1}
    shown = markdown_table(COLUMNS, [cells_of(row)])
    assert (
        "| completed | 3: 25, 4: 75 | 75, 110, 140 | 0, 0 | 1, 2 | 30 | 0.833 | 200, 1, 2 | 2 | - | success, " in shown
    )
    json.dumps(row)


def test_a_policy_that_is_here_has_nothing_to_tell_of_a_network() -> None:
    row = row_of(Cell(LOCAL, "none", 22.0), 0, {name: value for name, value in REPORT.items() if name != "remote"})
    assert not is_measured(row["remote"])
    assert cells_of(row)[9:12] == [None] * 3


def test_a_run_that_never_moved_says_how_it_ended() -> None:
    refused = {"exit_reason": "refused", "exit_detail": "d = 23 does not fit", "ticks": 0}
    row = row_of(CELL, 3, refused)
    assert row["exit"] == "refused d = 23 does not fit"
    assert len(cells_of(row)) == len(COLUMNS)
    assert "refused d = 23 does not fit" in cells_of(row)


def test_a_task_without_a_meter_is_not_measured() -> None:
    row = row_of(CELL, 0, {**REPORT, "task": {}})
    assert not row["success"]
    assert not any(is_measured(value) for value in row["errors_mm"].values())
    assert "failed, -, -, -" in cells_of(row)


def line(at_s: float, **fields: Any) -> str:
    moment = datetime.fromtimestamp(at_s, timezone.utc).isoformat()
    return json.dumps({"time": moment, "level": "debug", "event": "request", **fields})


def test_the_first_answer_after_an_outage_is_found_in_the_server_s_log() -> None:
    log = [
        line(99.0, dialect="lean", outcome="answered"),
        "no JSON",
        json.dumps({"event": "request"}),
        json.dumps(["request"]),
        line(100.1, dialect="lean", outcome="cancelled"),
        line(100.2, dialect="openpi", outcome="answered"),
        line(100.75, dialect="lean", outcome="answered"),
        line(101.0, dialect="lean", outcome="answered"),
    ]
    assert first_answer_s(log, 100.0) == pytest.approx(0.75)
    assert first_answer_s(log, 98.0) == pytest.approx(1.0)
    assert first_answer_s(log, 102.0) is None


def test_what_the_issue_asks_for_is_run_with_both_transports() -> None:
    full = cells(quick=False)
    far = [(cell.network, cell.transport) for cell in full if cell.network.where == "path"]
    round_trips = {round(2e3 * network.conditions.delay_s) for network, _ in far}
    assert round_trips == {5, 20, 50, 100, 200}
    assert len(far) == 2 * len({network.name for network, _ in far}) == 16
    assert sum(cell.duration_s + 4 for cell in full) < 11 * 60
    assert all(cell.duration_s > cell.network.outage_s + 10 for cell in full)
    assert {OUTAGE, LOSS} < set(NETWORKS)
    assert [cell.duration_s for cell in cells(quick=True)] == [8, 8, 10]


def test_without_root_one_line_refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["network", "--quick"])
    with pytest.raises(SystemExit) as ended:
        network.main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == ("unichunk bench network: needs root for network namespaces; run it with sudo\n")
