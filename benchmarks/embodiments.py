"""Every robot that the shipped checkpoint drives, for a minute each, in real time, with inference in the loop.

    unichunk bench embodiments [--robots so101 fr3_inspire] [--duration 60] [--json FILE] [--quick]

Each row is a run of `unichunk run --embodiment NAME --sim` with the simulated robot in a process of its own. The limits
are checked afterwards on the whole stream of commands as it was sent, and on the set-points that the driver made of
what arrived; and the FR3's set-points, one a millisecond from where the arm stood to where it rests again, by the
published checks of its controller (`unichunk.embodiments.franka_checks`).

Exit status 1 where a run did not end as asked, had an underrun or a commitment violation, left a limit, failed a check
or its task.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import tyro

from unichunk.benchmarks.command_streams import Stream, franka_verdicts, read_stream, worst_shares
from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.embodiments.catalogue import load_spec

NAME: Final = "embodiments"
ROBOTS: Final = ("so101", "fr3_inspire", "g1_o6", "adam_u", "d1")
QUICK_S: Final = 8.0
LIMIT: Final = 1.0 + 1e-6
"""Largest share of a limit that passes: rounding of differences of recorded positions."""

COLUMNS: Final = (
    "robot",
    "commands/s (asked)",
    "lateness p50, p99, p99.9 [us]",
    "missed steps",
    "chunk p50, p99 [ms]",
    "d",
    "underruns, violations",
    "guard",
    "sent: velocity, acceleration, jerk / limit",
    "handed on",
    "task",
    "on target",
    "error: policy, expert, no motion [mm]",
    "passed",
)


@dataclass
class Options:
    """Run every robot and print a table."""

    robots: tuple[str, ...] = ROBOTS
    """Which ones."""
    duration: float = 60.0
    """Length of each run, in seconds."""
    instruction: str = "follow the red block"
    """What they are told."""
    quick: bool = False
    """8 s each."""
    json: Path | None = None
    """Where to write everything as JSON."""
    policy: Path | None = None
    """Bundle to run instead of the shipped one."""
    seed: int = 0
    """Seed of policies and simulators."""


def main() -> int:
    """Run all robots and print a Markdown table; 0 where all passed."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "sim")
    if options.quick:
        options = replace(options, duration=QUICK_S)
    rows = []
    for name in options.robots:
        rows.append(_run(name, options))
        print(f"{name}: {', '.join(rows[-1]['complaints']) or 'passed'}", file=sys.stderr)
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print(_markdown(row))
    for row in rows:
        for verdict in row["controller_checks"]:
            print(f"{row['robot']}: {verdict}")
    write_json(options.json, document(NAME, quick=options.quick, duration_s=options.duration, rows=rows))
    return int(any(row["complaints"] for row in rows))


def _run(name: str, options: Options) -> dict[str, Any]:
    """A robot's run: what it is called, what its report says, what its streams say, and what is wrong with it."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        path = folder / "report.json"
        command = [sys.executable, "-m", "unichunk.server.command_line", "run", "--embodiment", name, "--sim"]
        command += ["--duration", str(options.duration), "--seed", str(options.seed), "--report", str(path)]
        command += ["--instruction", options.instruction, "--record", given]
        if options.policy is not None:
            command += ["--policy", str(options.policy)]
        run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  our own module
        row: dict[str, Any] = {"robot": name, "exit_status": run.returncode, "report": None, "controller_checks": []}
        files = [folder / "commands.npz", folder / "set_points.npz"]
        if not all(file.is_file() for file in (path, *files)):
            return {**row, "complaints": [f"exit status {run.returncode}: {run.stderr.strip()[-300:]}"]}
        report: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        sent, handed_on = (read_stream(file) for file in files)
    spec = load_spec(name)
    row |= {
        "report": report,
        "commands_per_s": _rate(sent),
        "sent": worst_shares(sent, spec),
        "handed_on": worst_shares(handed_on, spec),
        "controller_checks": franka_verdicts(handed_on, spec),
    }
    return {**row, "complaints": _complaints(row)}


def _complaints(row: dict[str, Any]) -> list[str]:
    report = row["report"]
    found = [f"exit status {row['exit_status']}"] if row["exit_status"] else []
    found += [f"{report[key]} {key}" for key in ("underruns", "commitment_violations") if report[key]]
    for label in ("sent", "handed_on"):
        found += [f"{label} {share:.4f} of the {kind} limit" for kind, share in row[label].items() if share > LIMIT]
    found += [verdict for verdict in row["controller_checks"] if not verdict.startswith("passed")]
    if not report["task"].get("success"):
        found.append("task failed")
    return found


def _rate(stream: Stream) -> float:
    """Commands a second from the first to the last one."""
    steps = stream.steps
    return float(stream.command_hz * len(steps) / (steps[-1] - steps[0] + 1)) if len(steps) else 0.0


def _markdown(row: dict[str, Any]) -> str:
    report = row["report"]
    if report is None:
        return f"| {row['robot']} |" + " |" * (len(COLUMNS) - 2) + f" {'; '.join(row['complaints'])} |"
    late, latency, task = report["lateness_us"], report["chunk_latency_ms"], report["task"]
    errors = [1e3 * task.get(name, float("nan")) for name in ("policy_error_m", "expert_error_m", "no_motion_error_m")]
    delays = sorted(set(report["delay_ticks_range"])) or [0]
    cells = (
        row["robot"],
        f"{row['commands_per_s']:.1f} ({load_spec(row['robot']).command_hz})",
        f"{late['p50']:.0f}, {late['p99']:.0f}, {late['p999']:.0f}",
        report["missed_control_steps"],
        f"{latency['p50']:.0f}, {latency['p99']:.0f}",
        " to ".join(map(str, delays)),
        f"{report['underruns']}, {report['commitment_violations']}",
        report["guard_interventions"],
        ", ".join(f"{share:.3f}" for share in row["sent"].values()),
        ", ".join(f"{share:.3f}" for share in row["handed_on"].values()),
        "success" if task.get("success") else "failed",
        f"{task.get('on_target_share', float('nan')):.2f}",
        ", ".join(f"{error:.1f}" for error in errors),
        "; ".join(row["complaints"]) or "yes",
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
