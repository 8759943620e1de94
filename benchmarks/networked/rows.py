"""From a run's report to a row."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.benchmarks.harness.document import is_measured, not_measured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.benchmarks.networked.plan import Cell

ANSWERED: Final = "answered"
"""Outcome of a request in the server's log."""

COUNTS: Final = (
    "underruns",
    "commitment_violations",
    "late_chunks",
    "lost_chunks",
    "rejected_chunks",
    "guard_interventions",
    "missed_control_steps",
    "missed_answers",
    "longest_outage_s",
    "chunks",
    "ticks",
)
REMOTE: Final = (
    "requests",
    "answers",
    "late_answers_dropped",
    "unanswered",
    "connections",
    "sessions_resumed",
    "resent_whole",
    "bytes_per_request",
    "round_trip_ms",
    "network_ms",
    "server_queue_ms",
    "server_infer_ms",
)
ERRORS: Final = {"policy": "policy_error_m", "expert": "expert_error_m", "no motion": "no_motion_error_m"}


def row_of(cell: Cell, exit_status: int, report: dict[str, Any]) -> dict[str, Any]:
    """What a run came to.

    Args:
        cell: Which run.
        exit_status: Of `unichunk run`.
        report: Its report.
    """
    row: dict[str, Any] = {"network": cell.network.name, "transport": cell.transport, "exit_status": exit_status}
    row["exit"] = " ".join(filter(None, (report["exit_reason"], report["exit_detail"])))
    if not report["ticks"]:
        return {**row, "ticks": 0}
    remote = report.get("remote") or {}
    task = report["task"]
    return {
        **row,
        "delays": report["delay_ticks_chunks"],
        "chunk_latency_ms": report["chunk_latency_ms"],
        **{name: report[name] for name in COUNTS},
        "step_share": step_share(report),
        "lateness_us": report["lateness_us"],
        "remote": {name: remote[name] for name in REMOTE if name in remote} if remote else not_measured("it is here"),
        "refused": remote.get("refused", {}),
        "success": bool(task.get("success")),
        "on_target_share": task.get("on_target_share", not_measured("the task does not tell")),
        "errors_mm": {
            name: 1e3 * task[key] if key in task else not_measured("the task does not tell")
            for name, key in ERRORS.items()
        },
    }


def step_share(report: dict[str, Any]) -> float:
    """The largest step between two commands, of all joints, as a share of what the joint's velocity limit allows."""
    limits = report["command_step_limit_by_joint"]
    return float(max(step / limits[name] for name, step in report["max_command_step_by_joint"].items()))


def first_answer_s(log: Iterable[str], since_s: float) -> float | None:
    """How long after a moment a server answered the next request of a robot, [s]; None where it did not.

    Args:
        log: Lines of `unichunk serve --log-format json --log-level debug`.
        since_s: The moment, `time.time()`, [s].
    """
    for line in log:
        try:
            event = msgspec.json.decode(line)
            if event["event"] != "request" or event["outcome"] != ANSWERED or event["dialect"] != "lean":
                continue
            at_s = datetime.fromisoformat(event["time"]).timestamp()
        except (ValueError, KeyError, TypeError):
            # Whatever else a server says.
            continue
        if at_s >= since_s:
            return at_s - since_s
    return None


def cells_of(row: dict[str, Any]) -> list[Any]:
    """A row as a table shows it, see `COLUMNS`."""
    if not row["ticks"]:
        return [row["network"], row["transport"], row["exit"], *[None] * (len(COLUMNS) - 3)]
    latency, errors, remote = row["chunk_latency_ms"], row["errors_mm"], row["remote"]
    far = is_measured(remote) and "answers" in remote
    return [
        row["network"],
        row["transport"],
        row["exit"] if row["exit_status"] else "completed",
        _delays(row["delays"]),
        f"{latency['p50']:.0f}, {latency['p99']:.0f}, {latency['max']:.0f}",
        f"{row['underruns']}, {row['commitment_violations']}",
        f"{row['late_chunks']}, {row['rejected_chunks']}",
        row["guard_interventions"],
        round(row["step_share"], 3),
        f"{remote['answers']}, {remote['late_answers_dropped']}, {remote['unanswered']}" if far else None,
        remote["connections"] if far else None,
        row.get("first_chunk_s"),
        f"{'success' if row['success'] else 'failed'}, "
        + ", ".join(f"{value:.1f}" if is_measured(value) else "-" for value in errors.values()),
    ]


COLUMNS: Final = (
    "network",
    "transport",
    "run",
    "d: share of chunks [%]",
    "chunk p50, p99, max [ms]",
    "underruns, violations",
    "late chunks, without answer",
    "guard",
    "largest step / velocity limit",
    "answers: in time, late, none",
    "connections",
    "first chunk after outage [s]",
    "task; error: policy, expert, no motion [mm]",
)


def _delays(chunks: dict[str, int]) -> str:
    total = sum(chunks.values())
    return ", ".join(f"{delay}: {100 * count / total:.0f}" for delay, count in chunks.items()) or "-"
