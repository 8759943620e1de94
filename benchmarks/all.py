"""All benchmarks, one after the other: results with machine and date, what changed, one report.

    unichunk bench all [NAME ...] [--quick] [--out FOLDER] [--json FILE]

`make bench` runs the short form of each. Documents land in FOLDER, beside a summary (`summary.json`) and a report
(`report.html`). The ratios in it, never absolute times, are compared with those of the last stored run of the same
form, and what differs beyond noise is printed. A benchmark that fails or takes too long says so in its place and the
others go on; the exit status is then 1. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.benchmarks.harness.document import (
    check_writable,
    document,
    is_measured,
    not_measured,
    write_json,
    write_whole,
)
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.summary.report import report_page
from unichunk.benchmarks.summary.runner import run_benchmark
from unichunk.benchmarks.summary.stored import SUMMARY, ResultUnreadable, last_ratios, write_document
from unichunk.benchmarks.summary.watch import compare
from unichunk.server.bench_command import benchmark_names

if TYPE_CHECKING:
    from unichunk.benchmarks.summary.runner import Outcome
    from unichunk.benchmarks.summary.watch import Watch

NAME: Final = "all"
QUICK_LIMIT_S: Final = 300.0
FULL_LIMIT_S: Final = 4 * 3600.0
NOTHING_STORED: Final = "no stored run of the same form to compare with"
FIRST: Final = ("jitter", "latency", "async")
"""Run first, while the machine is as quiet as it was found."""


@dataclass
class Options:
    """Run all benchmarks, or those that are named."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Which ones; all if left out."""
    quick: bool = False
    """The short form of each."""
    out: Path = Path("benchmark-results")
    """Folder of the results; made if missing."""
    json: Path | None = None
    """Write the summary to this file too."""


def main() -> None:
    """Run the benchmarks."""
    options = tyro.cli(Options, description=__doc__)
    names = _names(options.names)
    check_writable(options.json)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        check_writable(options.out / SUMMARY, "--out")
        before = last_ratios(options.out, quick=options.quick)
    except (OSError, ResultUnreadable) as error:
        print(f"unichunk bench all: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    begun = time.monotonic()
    with ended_by_signals(NAME):
        outcomes = [_run(name, options) for name in names]
    summary = _summary(outcomes, quick=options.quick)
    ended = summary["benchmarks"]
    now = {name: entry["ratios"] for name, entry in ended.items() if is_measured(entry)}
    watch = compare(before, now)
    summary["changes"] = watch.lines() if before else [NOTHING_STORED]
    _tell(outcomes, watch, time.monotonic() - begun, compared=bool(before))
    # What this run left out, or failed to measure, keeps its ratios, so that the next run can be compared with them.
    kept = {name: ended.get(name, {}) | {"ratios": ratios} for name, ratios in before.items() if name not in now}
    write_document(options.out, SUMMARY, {**summary, "benchmarks": {**ended, **kept}})
    write_whole(options.out / "report.html", report_page(summary, outcomes).encode())
    write_json(options.json, summary)
    if any(outcome.problem for outcome in outcomes):
        raise SystemExit(1)


def _names(asked: tuple[str, ...]) -> list[str]:
    known = [name for name in benchmark_names() if name != NAME]
    for name in asked:
        if name not in known:
            print(
                f"unichunk bench all: unknown benchmark {name!r}: expected some of {', '.join(known)}", file=sys.stderr
            )
            raise SystemExit(3)
    return sorted(
        dict.fromkeys(asked or known), key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name)
    )


def _run(name: str, options: Options) -> Outcome:
    """Run one, tell what it said, and keep what it wrote."""
    print(f"{NAME}: {name} ...", file=sys.stderr)
    outcome = run_benchmark(name, *((("--quick",), QUICK_LIMIT_S) if options.quick else ((), FULL_LIMIT_S)))
    print(f"\n## {name}\n\n{outcome.said.strip()}\n", flush=True)
    print(f"{NAME}: {name}: {outcome.seconds:.0f} s {outcome.problem}", file=sys.stderr)
    if outcome.document is not None and not outcome.problem:
        write_document(options.out, f"{name}.json", outcome.document)
    return outcome


def _summary(outcomes: list[Outcome], *, quick: bool) -> dict[str, Any]:
    entries = {}
    for outcome in outcomes:
        whole = outcome.document is not None and not outcome.problem
        entries[outcome.name] = {
            "seconds": round(outcome.seconds, 1),
            "ratios": (outcome.document or {}).get("ratios", {}) if whole else {},
            **({} if whole else not_measured(outcome.problem)),
        }
    return document(NAME, quick=quick, benchmarks=entries)


def _tell(outcomes: list[Outcome], watch: Watch, seconds: float, *, compared: bool) -> None:
    print("## what changed\n")
    for line in watch.lines() if compared else [NOTHING_STORED]:
        print(f"- {line}")
    print(f"\n{len(outcomes)} benchmarks in {seconds / 60:.1f} minutes")
    for outcome in outcomes:
        if outcome.problem:
            print(f"not measured: {outcome.name}: {outcome.problem}")


if __name__ == "__main__":
    main()
