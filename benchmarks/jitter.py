"""How evenly a control loop runs beside a load, ours and its peers' in the same run.

    python -m unichunk.benchmarks.jitter [--rates 10 50 100 250 500 1000]
        [--loads idle inference inference_python foreign] [--loops unichunk unichunk_unprivileged lerobot openpi ...]
        [--rounds R] [--duration S] [--json FILE] [--quick]

Every loop runs in a process of its own, peers in environments of their own, which are made here and kept in the cache.
Each calls the same step, which only writes down the time. Rounds of all loops alternate.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import Annotated, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, write_json
from unichunk.benchmarks.pacing.measuring import measure
from unichunk.benchmarks.pacing.plan import BadPlan, make_plan
from unichunk.benchmarks.pacing.report import make_document, markdown

ENVIRONMENTS_S: Final = 900.0
QUICK_ENVIRONMENTS_S: Final = 60.0
"""How long making the peers' environments may take, [s]; once made, they are there."""


@dataclass
class Options:
    """Measures interval errors, lateness and achieved rate.

    Attributes:
        rates: Steps a second; left out: 10 50 100 250 500 1000.
        loads: Some of idle, inference, inference_python, foreign; left out: all.
        loops: Some of unichunk, unichunk_unprivileged, lerobot, openpi, rate_limiter, sleep; left out: all.
        rounds: Repetitions; six give ratios their 95 % interval.
        duration: Seconds for each loop, load and rate in a round; left out: as long as p99.9 takes at 500 and 1000 Hz
            over six rounds, and fourteen minutes allow at the others.
        json: Write the result to this file too.
        quick: 500 Hz alone, two rounds of 2 s; peers only where their environments are made in a minute.
    """

    rates: tuple[int, ...] = ()
    loads: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()
    rounds: int | None = None
    duration: Annotated[float | None, tyro.conf.arg(metavar="S")] = None
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    quick: bool = False


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, description=__doc__)
    check_writable(options.json)
    try:
        plan = make_plan(
            loops=options.loops,
            loads=options.loads,
            rates=options.rates,
            rounds=options.rounds,
            duration_s=options.duration,
            quick=options.quick,
        )
    except BadPlan as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from None
    limit_s = QUICK_ENVIRONMENTS_S if options.quick else ENVIRONMENTS_S
    measured = measure(plan, limit_s=limit_s, say=lambda line: print(line, file=sys.stderr, flush=True))
    result = make_document(plan, measured, quick=options.quick)
    print("\n".join([*measured.missing_permissions, "", markdown(result)]))
    write_json(options.json, result)


if __name__ == "__main__":
    main()
