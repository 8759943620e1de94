"""The report of a run: one JSON object with everything a person needs to judge it."""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.runtime.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.runtime.histogram import TimeHistogram
    from unichunk.runtime.producer import ChunkRecord
    from unichunk.runtime.robot import RobotSettings
    from unichunk.runtime.supervisor import Supervisor

REPORT_FORMAT: Final = 1


def build_report(
    supervisor: Supervisor,
    robot: RobotSettings,
    asked: dict[str, Any],
    *,
    driver_said: str = "",
    remote: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything about a finished run.

    Args:
        supervisor: The supervisor, after `run`.
        robot: The robot's constants.
        asked: What was asked for: policy, instruction, duration, ...
        driver_said: How the driver's process ended, where it did so by itself and anybody knows.
        remote: What the client of a policy that is somewhere else counted; None for one that was here.
    """
    control, chunks, motions = supervisor.loop.telemetry, supervisor.inference.telemetry, supervisor.motions
    delays = sorted(chunks.delays)
    return {
        "format": REPORT_FORMAT,
        "embodiment": robot.name,
        "asked": asked,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "state": supervisor.state.value,
        "exit_reason": supervisor.exit_reason.value,
        "exit_detail": supervisor.exit_detail,
        "elapsed_s": round(supervisor.elapsed_s, 3),
        "ticks": sum(motion.ticks for motion in motions),
        "policy_ticks": sum(motion.policy_ticks for motion in motions),
        "underruns": sum(motion.underruns for motion in motions),
        "commitment_violations": sum(motion.violations for motion in motions),
        "locked_prefixes": supervisor.locks,
        "delay_ticks": chunks.delay,
        "delay_ticks_range": [delays[0], delays[-1]] if delays else [],
        "delay_ticks_chunks": {str(delay): chunks.delays[delay] for delay in delays},
        "chunks": chunks.chunks,
        "late_chunks": chunks.late_chunks,
        "lost_chunks": chunks.lost_chunks,
        "late_rows_dropped": chunks.dropped_rows,
        "largest_late_seam_rad": chunks.largest_seam,
        "delay_saturated_chunks": chunks.saturated,
        "rejected_chunks": chunks.rejected,
        "last_rejection": chunks.last_rejection,
        "missed_answers": chunks.missed,
        "last_miss": chunks.last_miss,
        "longest_outage_s": round(chunks.longest_outage_ns / 1e9, 3),
        "remote": remote,
        "late_chunk_events": [_late_chunk(record) for record in list(chunks.late)],
        "chunk_latency_ms": _scaled(_percentiles(chunks.latency, p50=0.5, p95=0.95, p99=0.99), 1e-3),
        "refinement": chunks.refinement.report(),
        "thoughts": supervisor.inference.thoughts.report(supervisor.timebase.epoch_ns),
        "adapter": supervisor.adapter_statistics,
        "commands": control.steps,
        "missed_control_steps": control.missed_steps,
        "unsent_commands": control.unsent,
        "lateness_us": _percentiles(control.lateness, p50=0.5, p99=0.99, p999=0.999),
        "guard_interventions": control.interventions,
        "guard_interventions_by_joint": _by_joint(robot, control.corrections),
        "guard_largest_correction_rad": _by_joint(robot, control.largest_correction),
        "guard_rejected_commands": supervisor.loop.guard.rejected,
        "max_command_step": float(control.largest_step.max()),
        "max_command_step_by_joint": _by_joint(robot, control.largest_step),
        "command_step_limit_by_joint": _by_joint(robot, robot.limits.velocity / robot.command_hz),
        "task": supervisor.task,
        "task_unmeasured": supervisor.task_unmeasured,
        "driver": supervisor.driver_status,
        "driver_said": driver_said,
        "worst_lateness": _worst(supervisor),
        "events": supervisor.events.list(),
        "machine": _machine(),
    }


def check_report_path(path: Path) -> None:
    """Make sure that a report can be written, before anything moves.

    Raises:
        ReportError: Where the folder cannot be made or written to, or the path is taken by something else than a file.
    """
    try:
        if path.is_dir():
            raise ReportError(f"report {path}: is a folder; give the name of a file")
        if path.exists() and not path.is_file():
            raise ReportError(f"report {path}: is no regular file; give the name of a new one")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path):
            pass
    except OSError as error:
        raise ReportError(f"report {path}: cannot be written ({error.strerror}); choose another path") from None


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report beside its place, then rename.

    Raises:
        ReportError: Where it cannot be written; nothing is left behind.
    """
    try:
        with _beside(path) as name:
            name.write_bytes(_encode(report))
            name.chmod(0o644)
            name.replace(path)
    except OSError as error:
        raise ReportError(f"report {path}: cannot be written ({error.strerror})") from None


def rescue_report(report: dict[str, Any]) -> Path:
    """Write a report that could not be written where it was asked for to a new temporary file.

    Raises:
        ReportError: Where that cannot be written either.
    """
    try:
        handle, name = tempfile.mkstemp(prefix="unichunk-report-", suffix=".json")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_encode(report))
        except OSError:
            Path(name).unlink()
            raise
    except OSError as error:
        raise ReportError(f"nor in {tempfile.gettempdir()} ({error.strerror})") from None
    return Path(name)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file in the same folder, gone afterwards unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=".report-", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink(missing_ok=True)


def _encode(report: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _late_chunk(record: ChunkRecord) -> dict[str, Any]:
    """A chunk that lost rows of its own, and what became of the rest."""
    commitment = record.commitment
    return {
        "chunk": commitment.chunk,
        "t0": commitment.tick,
        "d": commitment.delay,
        "first": record.first,
        "dropped": record.dropped,
        "lost": record.lost,
        "latency_ms": round(record.latency_ns / 1e6, 3),
        "seam_rad": round(record.seam, 6),
        "intact": record.intact,
    }


def _percentiles(histogram: TimeHistogram, **fractions: float) -> dict[str, float]:
    values = {name: histogram.percentile(fraction) for name, fraction in fractions.items()}
    return {**values, "max": histogram.maximum}


def _scaled(values: dict[str, float], factor: float) -> dict[str, float]:
    return {name: round(value * factor, 3) for name, value in values.items()}


def _by_joint(robot: RobotSettings, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    return dict(zip(robot.limits.names, np.round(values, 6).tolist(), strict=True))


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _worst(supervisor: Supervisor) -> list[dict[str, float]]:
    """The latest of the recent control steps: when they were due since the start, and by how much they were late."""
    records, _ = supervisor.loop.telemetry.recent()
    latest = records[np.argsort(records["lateness_ns"])[:-6:-1]]
    start_ns = supervisor.timebase.epoch_ns
    return [
        {
            "at_s": round((int(record["due_ns"]) - start_ns) / 1e9, 3),
            "late_us": round(int(record["lateness_ns"]) / 1e3, 1),
        }
        for record in latest
    ]
