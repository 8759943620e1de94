"""What MPG and UAC bring, by category of task: both, one of them, neither, with the shipped policy on the twins.

    unichunk bench ablation [--episodes 32] [--latencies 150 300] [--categories gripper ...] [--json FILE] [--quick]

Figure 13 of the Being-H0.5 paper, in simulation and with a policy made for it: not the paper's checkpoint, not its
tasks. One network throughout, with K = 5 steps, trained with delays from 0 rows on (`unichunk.runtime.train.delays`).
MPG: two refinement rounds instead of none. UAC: the runtime's own chunking, the policy told which rows are committed;
without it, execution is naively asynchronous: the policy plans from the observation alone, and its rows from d on take
over, with the same d. Refinement rounds cost no time here: d is given, so what they bring is seen apart from what they
cost.

Closed loop in virtual time, so the machine's speed does not matter. Rows go to the robot unguarded: what is said of
seams is what the guard would get to see. All methods run on the same paths of the blocks, under the same disturbances,
with the same seeds of the noise; "+-" is one standard error over paths, and runs on one path are not independent, which
Wilson's intervals take them for. Needs the extra `sim`.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.benchmarks.ablation_plan import CATEGORIES, METHODS, jobs
from unichunk.benchmarks.ablation_summary import difference_table, pooled, ratios, rows, success_table
from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.runtime.errors import BundleError, UnichunkError
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.ablation_episodes import Episode
    from unichunk.benchmarks.ablation_plan import Category, Job

NAME: Final = "ablation"
QUICK_EPISODES: Final = 2
QUICK_S: Final = 8.0
REPORT_S: Final = 20.0
"""How often progress is told."""

SHORTEST_S: Final = 5.0
"""After an instruction there are two seconds to get there, and it may change half-way."""

LONGEST_S: Final = 3600.0
LONGEST_MS: Final = 60_000.0


@dataclass(frozen=True)
class Options:
    """Run the shipped policy with and without MPG and UAC and print tables."""

    json: Path | None = None
    """Where to write rows and runs as JSON."""
    quick: bool = False
    """One path of the first robot of each category, runs of 8 s."""
    policy: Path | None = None
    """Bundle to run instead of the shipped one."""
    categories: tuple[str, ...] = tuple(category.name for category in CATEGORIES)
    """Of tasks."""
    latencies: tuple[float, ...] = (150.0, 300.0)
    """From an observation to the rows that follow from it, in ms."""
    episodes: int = 32
    """At least so many for each category, method and latency."""
    duration: float = 12.0
    """Length of each run, in seconds."""
    workers: int = 2
    """Processes."""


def main() -> int:
    """Run the benchmark; status 2 for options that make no sense, 3 for a policy that does not fit."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    for complaint in complaints(options):
        print(f"unichunk bench {NAME}: {complaint}", file=sys.stderr)
        return 2
    need_extras(NAME, "sim")
    try:
        bundle = options.policy or shipped_bundles()[0]
        planned = _plan(options, bundle)
        for line in saturated(planned):
            print(line)
        episodes = _run(planned, options.workers)
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        return 3
    _report(episodes, options, read_manifest(bundle).name)
    return 0


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each."""
    known = [category.name for category in CATEGORIES]
    found = [
        f"--categories {name}: expected some of {', '.join(known)}" for name in options.categories if name not in known
    ]
    found += [
        f"--latencies {one:g}: expected more than 0 and at most {LONGEST_MS:g} ms"
        for one in options.latencies
        if not 0.0 < one <= LONGEST_MS
    ]
    if not (options.categories and options.latencies):
        found.append("--categories, --latencies: expected at least one of each")
    found += [
        f"--{name} {value}: expected at least 1"
        for name, value in (("episodes", options.episodes), ("workers", options.workers))
        if value < 1
    ]
    if not SHORTEST_S <= options.duration <= LONGEST_S:
        found.append(f"--duration {options.duration:g}: expected {SHORTEST_S:g} to {LONGEST_S:g} s")
    return found


def chosen(options: Options) -> list[Category]:
    """The categories to run; in the short form with their first setting only."""
    some = [category for category in CATEGORIES if category.name in options.categories]
    return [replace(category, settings=category.settings[:1]) for category in some] if options.quick else some


def saturated(planned: Sequence[Job]) -> list[str]:
    """Where a latency asks for more delay than the policy can continue, a line for each robot."""
    return list(
        dict.fromkeys(
            f"{job.setting.robot}: {delay.latency_ms:g} ms ask for d = {delay.wanted}; {delay.ticks} is the most"
            for job in planned
            for delay in job.delays
            if delay.wanted > delay.ticks
        )
    )


def _plan(options: Options, bundle: Path) -> list[Job]:
    known = [graph.refinement_rounds for graph in read_manifest(bundle).graphs.chunks]
    for method in METHODS:
        if method.rounds not in known:
            raise BundleError(f"{bundle}: no graph with {method.rounds} refinement rounds; choose a policy with MPG")
    episodes, duration_s = (QUICK_EPISODES, QUICK_S) if options.quick else (options.episodes, options.duration)
    return jobs(chosen(options), bundle, options.latencies, episodes, duration_s)


def _run(planned: Sequence[Job], workers: int) -> list[Episode]:
    from unichunk.benchmarks.ablation_episodes import run_job  # noqa: PLC0415  needs the simulator, help does not

    episodes: list[Episode] = []
    begin = said = time.monotonic()
    # Forked children would share the parent's graphics libraries; spawned ones start clean.
    with multiprocessing.get_context("spawn").Pool(min(workers, len(planned))) as pool:
        for number, part in enumerate(pool.imap(run_job, planned), 1):
            episodes += part
            now = time.monotonic()
            if now - said >= REPORT_S or number == len(planned):
                said = now
                print(f"{number} of {len(planned)} paths, {now - begin:.0f} s", file=sys.stderr, flush=True)
    return episodes


def _report(episodes: Sequence[Episode], options: Options, policy: str) -> None:
    cells = pooled(episodes)
    for category in chosen(options):
        robots = ", ".join(dict.fromkeys(setting.robot for setting in category.settings))
        print(f"{category.name}: {category.about} ({robots})")
    print(f"\n{success_table(cells)}\n\n{difference_table(episodes)}\n")
    found = ratios(episodes)
    for label, ratio in found.items():
        print(f"{label}: {ratio}")
    parts: dict[str, Any] = {
        "policy": policy,
        "categories": [asdict(category) for category in chosen(options)],
        "rows": rows(episodes),
        "pooled": cells,
        "episodes": [asdict(episode) for episode in episodes],
    }
    write_json(options.json, document(NAME, quick=options.quick, ratios=found, **parts))


if __name__ == "__main__":
    sys.exit(main())
