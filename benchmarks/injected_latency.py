"""What latency does to a run: the demo with milliseconds added to each inference, one run after the other.

    python -m unichunk.benchmarks.injected_latency [--json FILE] [--quick]

Every row is a real run in real time against the simulated SO-101 in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras

NAME: Final = "injected_latency"
CASES: Final[dict[str, tuple[str, ...]]] = {
    "as it is": (),
    "+50 ms": ("--inject-latency", "50"),
    "+150 ms": ("--inject-latency", "150"),
    "+300 ms": ("--inject-latency", "300"),
    "+150 ms from half-time on": ("--inject-latency", "150", "--inject-after"),
    "+1000 ms": ("--inject-latency", "1000"),
}


@dataclass
class Options:
    """Run the demo under several latencies and print a table."""

    json: Path | None = None
    """Where to write the rows as JSON."""
    quick: bool = False
    """5 s a run instead of 20 s."""
    policy: Path | None = None
    """Bundle to run instead of the shipped one."""
    seed: int = 0
    """Seed of policy and simulator."""


def main() -> None:
    """Run all cases and print a Markdown table."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "sim")
    duration_s = 5.0 if options.quick else 20.0
    rows = [_run(name, extra, duration_s, options) for name, extra in CASES.items()]
    print(
        "| latency | exit | chunk latency p50 / p99 [ms] | d | underruns | violations | late chunks | guard | "
        "largest step (limit) [rad] | error: policy / expert / no motion [mm] |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(_markdown(row))
    write_json(options.json, document(NAME, quick=options.quick, duration_s=duration_s, rows=rows))


def _run(name: str, extra: tuple[str, ...], duration_s: float, options: Options) -> dict[str, Any]:
    arguments = [*extra, *([str(duration_s / 2)] if extra and extra[-1] == "--inject-after" else [])]
    if options.policy is not None:
        arguments += ["--policy", str(options.policy)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "unichunk.server.command_line", "run", "--embodiment", "so101", "--sim"]
        command += ["--duration", str(duration_s), "--seed", str(options.seed), "--report", str(path), *arguments]
        run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  our own module
        if not path.is_file():
            said = " ".join(run.stderr.split())[-400:]
            raise SystemExit(f"unichunk bench {NAME}: {name}: exit status {run.returncode}: {said}")
        report: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return {"case": name, "exit_status": run.returncode, **report}


def _markdown(row: dict[str, Any]) -> str:
    if row["ticks"] == 0:
        return f"| {row['case']} | {row['exit_status']} | {row['exit_detail']} | | | | | | | |"
    latency, task = row["chunk_latency_ms"], row["task"]
    errors = [1e3 * task[name] for name in ("policy_error_m", "expert_error_m", "no_motion_error_m")]
    limit = min(row["command_step_limit_by_joint"].values())
    low, high = row["delay_ticks_range"]
    return (
        f"| {row['case']} | {row['exit_status']} | {latency['p50']:.0f} / {latency['p99']:.0f} | {low} to {high} | "
        f"{row['underruns']} | {row['commitment_violations']} | {row['late_chunks']} | {row['guard_interventions']} | "
        f"{row['max_command_step']:.4f} ({limit:.3f}) | {errors[0]:.1f} / {errors[1]:.1f} / {errors[2]:.1f} |"
    )


if __name__ == "__main__":
    main()
