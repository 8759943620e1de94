"""What robots do to each other that share one policy: each alone, then all together, in turn.

    unichunk bench fleet [--robots so101 g1_o6] [--duration 20] [--rounds 3] [--json FILE] [--quick]

Alone is a `unichunk run` with a policy of its own; together is a `unichunk fleet`. All with simulated robots, in real
time, on one machine: each robot is simulated beside its runtime, so the number of cores is part of what is measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio

NAME: Final = "fleet"
QUANTILES: Final = ("p50", "p99", "p999")
QUICK_S: Final = 5.0
COLUMNS: Final = (
    "robot",
    "",
    "lateness p50, p99, p99.9 [us]",
    "missed steps",
    "chunk p50, p99 [ms]",
    "d",
    "underruns, violations",
)


@dataclass
class Options:
    """Run robots alone and together, and print a table."""

    robots: tuple[str, ...] = ("so101", "g1_o6")
    """Which ones; each once."""
    duration: float = 20.0
    """Length of each run, in seconds."""
    rounds: int = 3
    """How often; the table has the median of the rounds, and sums of what is counted."""
    quick: bool = False
    """One round of 5 s."""
    json: Path | None = None
    """Where to write all reports as JSON."""


def main() -> None:
    """Run the benchmark."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "sim")
    rounds, duration_s = (1, QUICK_S) if options.quick else (options.rounds, options.duration)
    runs: list[dict[str, Any]] = []
    for number in range(rounds):
        for how, names in [*(("alone", (name,)) for name in options.robots), ("together", options.robots)]:
            for name, report in _reports(names, duration_s).items():
                runs.append({"robot": name, "how": how, "round": number, "report": report})
    print(
        "| robot | | lateness p50, p99, p99.9 [us] | missed steps | chunk p50, p99 [ms] | d | underruns, violations |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in options.robots:
        for how in ("alone", "together"):
            print(_markdown(name, how, [run["report"] for run in runs if (run["robot"], run["how"]) == (name, how)]))
    write_json(
        options.json,
        document(NAME, quick=options.quick, ratios=_ratios(options.robots, runs), duration_s=duration_s, rows=runs),
    )


def _ratios(robots: tuple[str, ...], runs: list[dict[str, Any]]) -> dict[str, Ratio]:
    """How much longer a chunk takes where robots share the policy, round by round."""

    def latencies(name: str, how: str) -> list[float]:
        found = [run["report"] for run in runs if (run["robot"], run["how"]) == (name, how)]
        return [report["chunk_latency_ms"]["p50"] for report in found]

    return {
        f"{name}: chunk p50, together / alone": paired_ratio(
            latencies(name, "together"), latencies(name, "alone"), better="lower"
        )
        for name in robots
    }


def _reports(names: tuple[str, ...], duration_s: float) -> dict[str, dict[str, Any]]:
    """The reports of robots that run at the same time, by name."""
    with tempfile.TemporaryDirectory() as folder:
        unichunk = [sys.executable, "-m", "unichunk.server.command_line"]
        if len(names) == 1:
            ends = ["run", "--embodiment", *names, "--report", f"{folder}/{names[0]}.json"]
        else:
            ends = ["fleet", *names, "--reports", folder]
        command = [*unichunk, *ends, "--sim", "--duration", str(duration_s)]
        run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  our own module
        found = {name: list(Path(folder).glob(f"*{name}.json")) for name in names}
        if run.returncode or not all(found.values()):
            said = " ".join(run.stderr.split())[-400:]
            raise SystemExit(f"unichunk bench {NAME}: {' '.join(ends)}: exit status {run.returncode}: {said}")
        return {name: msgspec.json.decode(paths[0].read_bytes()) for name, paths in found.items()}


def _markdown(name: str, how: str, reports: list[dict[str, Any]]) -> str:
    def median(group: str, key: str) -> str:
        return f"{np.median([report[group][key] for report in reports]):.0f}"

    def total(key: str) -> int:
        return sum(report[key] for report in reports)

    delays = sorted({delay for report in reports for delay in report["delay_ticks_range"]})
    cells = (
        name,
        how,
        ", ".join(median("lateness_us", quantile) for quantile in QUANTILES),
        str(total("missed_control_steps")),
        ", ".join(median("chunk_latency_ms", quantile) for quantile in ("p50", "p99")),
        " to ".join(map(str, dict.fromkeys((delays[0], delays[-1])))),
        f"{total('underruns')}, {total('commitment_violations')}",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
