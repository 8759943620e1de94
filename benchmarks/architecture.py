"""What the parts of Being-H0.5 that its published code lacks cost and bring: slot adapters and Mixture of Flow.

    unichunk bench architecture [--arms LABEL=BUNDLE ...] [--robots so101 d1] [--delays 2 4 8] [--json FILE] [--quick]

Parts: embodiment-specific adaptation (`adapters`: a bank of adapters, one for each slot of the unified space) and
Mixture of Flow (`mixture`: shared lower layers of the action expert, parallel experts above, chosen by a router). What
the paper says of them, and what is this project's reading, is told in `unichunk.runtime.train.adapters` and `.routing`.

- Cost, always: prefix and chunk graph of random weights without the parts, with one, with both (60 million parameters
  or so; each mixture's acting experts are together as wide as the plain block), in turn on the CPU. Needs the extra
  `compile`. Prediction: the arithmetic is the plain one's but for the adapters (two thin products in each step), so
  1.0 to 1.1 of its time; weights that are looked up cannot be repacked by the engine beforehand, which costs the
  mixture something in each step.
- Worth, where policies are given: each robot's twin follows blocks, as in `past_locking` (virtual time, d given, the
  same paths and noise for all arms, path by path beside the first arm), and whom the router chooses at rest, by robot
  and instruction. Needs the extra `sim`. Policies of equal budgets are made by post-training of the shipped policy's
  checkpoint (README: the generalist's training) with the same seed and so the same batches; adapters begin at zero and
  experts as copies of the block that they replace, so that all begin as the same policy:

    same="--robots so101 d1 --episodes 240 --workers 1 --observations 40 --steps 450 --minutes 600"
    train="python -m unichunk.server.train_follow $same --start data/generalist"
    $train --out data/architecture/plain
    $train --out data/architecture/adapters --esa
    $train --out data/architecture/mixture --mixture
    $train --out data/architecture/both --esa --mixture
    robots="--robot so101=generalist_so101:generalist:so101 --robot d1=generalist_d1:generalist:d1"
    cp -r data/generalist data/architecture/generalist
    for kind in plain generalist adapters mixture both; do
      unichunk compile data/architecture/$kind --out data/architecture/${kind}_bundle $robots
      arms="$arms $kind=data/architecture/${kind}_bundle"
    done
    unichunk bench architecture --arms $arms --delays 4 8 --paths 16 --json benchmarks/results/architecture.json

One seed behind each policy is one: differences hold for these policies.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.benchmarks.architecture_cost import cost_table, measured_costs
from unichunk.benchmarks.harness.document import check_writable, document, not_measured, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.past_locking_plan import Arm, Job, check_arm
from unichunk.benchmarks.past_locking_summary import comparison_table, comparisons, ratios, rows, success_table
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.harness.ratio import Ratio
    from unichunk.benchmarks.past_locking_plan import Episode

NAME: Final = "architecture"
FIRST_SEED: Final = 201
QUICK_PATHS: Final = 1
QUICK_S: Final = 8.0
SHORTEST_S: Final = 5.0
"""After an instruction there are two seconds to get there."""

LONGEST_S: Final = 3600.0
REPORT_S: Final = 20.0
"""How often progress is told."""


@dataclass(frozen=True)
class Options:
    """Time the parts, run policies with and without them, and print tables."""

    json: Path | None = None
    """Where to write the numbers and runs as JSON."""
    quick: bool = False
    """A tiny model and few repetitions; one path, the first of the delays."""
    arms: tuple[str, ...] = ()
    """LABEL=BUNDLE each; the others are compared with the first."""
    robots: tuple[str, ...] = ("so101", "d1")
    """Whose twins to run."""
    delays: tuple[int, ...] = (2, 4, 8)
    """d, in ticks; at most half a chunk."""
    paths: int = 24
    """Number of paths of the blocks; each is run with both blocks named."""
    rounds: int = 0
    """Refinement rounds of all policies."""
    duration: float = 12.0
    """Length of each run, in seconds."""
    repetitions: int = 30
    """Of each graph, in turn."""
    workers: int = 2
    """Processes."""


def main() -> int:
    """Run the benchmark; status 2 for options that make no sense, 3 for a policy that does not fit."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    for complaint in complaints(options):
        print(f"unichunk bench {NAME}: {complaint}", file=sys.stderr)
        return 2
    need_extras(NAME, "compile", *(("sim",) if options.arms else ()))
    try:
        arms = tuple(map(parse_arm, options.arms))
        for arm in arms:
            for robot in options.robots:
                check_arm(arm, robot, options.rounds, max(options.delays))
        with tempfile.TemporaryDirectory() as folder:
            costs, found = measured_costs(Path(folder), quick=options.quick, repetitions=options.repetitions)
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        return 3
    print(f"\n{cost_table(costs, found)}\n")
    twins: dict[str, Any] = not_measured("no policies given: train them as `--help` says and name them by --arms")
    if arms:
        twins, compared = _twins(options, arms)
        found |= compared
    write_json(options.json, document(NAME, quick=options.quick, ratios=found, costs=costs, twins=twins))
    return 0


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each."""
    found = [f"--delays {delay}: expected at least 0" for delay in options.delays if delay < 0]
    found += [f"--{name}: expected at least one" for name in ("delays", "robots") if not getattr(options, name)]
    counts = {"paths": options.paths, "workers": options.workers, "repetitions": options.repetitions}
    found += [f"--{name} {value}: expected at least 1" for name, value in counts.items() if value < 1]
    if not SHORTEST_S <= options.duration <= LONGEST_S:
        found.append(f"--duration {options.duration:g}: expected {SHORTEST_S:g} to {LONGEST_S:g} s")
    labels = [arm.partition("=")[0] for arm in options.arms]
    if len(set(labels)) < len(labels):
        found.append(f"--arms: expected each label once, got {', '.join(labels)}")
    return found


def parse_arm(text: str) -> Arm:
    """An arm as the command line gives it, LABEL=BUNDLE.

    Raises:
        UnichunkError: It is something else.
    """
    label, _, bundle = text.partition("=")
    if not label or not bundle:
        raise UnichunkError(f"arm {text!r}: expected LABEL=BUNDLE")
    return Arm(label, "locked", Path(bundle))


def jobs(options: Options, arms: tuple[Arm, ...]) -> list[Job]:
    """All that is to be run, a path of a robot each."""
    paths, duration_s = (QUICK_PATHS, QUICK_S) if options.quick else (options.paths, options.duration)
    delays = options.delays[:1] if options.quick else options.delays
    return [
        Job(robot, arms, FIRST_SEED + path, duration_s, delays, options.rounds)
        for robot in options.robots
        for path in range(paths)
    ]


def _twins(options: Options, arms: tuple[Arm, ...]) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """What is told of each robot, and what the regression watch compares."""
    from unichunk.benchmarks.architecture_router import chosen, described  # noqa: PLC0415  needs the simulator

    episodes, labels = _run(jobs(options, arms), options.workers), [arm.label for arm in arms]
    told: dict[str, Any] = {"policies": [described(arm) for arm in arms]}
    found: dict[str, Ratio] = {}
    for robot, members in episodes.items():
        print(f"{robot}\n\n{success_table(members, labels)}\n")
        if len(labels) > 1:
            print(f"{comparison_table(members, labels)}\n")
        found |= {f"{robot}, {label}": ratio for label, ratio in ratios(members, labels).items()}
        told[robot] = {
            "rows": rows(members),
            "comparisons": comparisons(members, labels),
            "experts": [line for arm in arms for line in chosen(arm, robot)],
            "episodes": [asdict(episode) for episode in members],
        }
    return told, found


def _run(planned: Sequence[Job], workers: int) -> dict[str, list[Episode]]:
    """The episodes of each robot."""
    from unichunk.benchmarks.past_locking_episodes import run_job  # noqa: PLC0415  needs the simulator, help does not

    episodes: dict[str, list[Episode]] = {}
    begin = said = time.monotonic()
    # Forked children would share the parent's graphics libraries; spawned ones start clean.
    with multiprocessing.get_context("spawn").Pool(min(workers, len(planned))) as pool:
        for number, (job, part) in enumerate(zip(planned, pool.imap(run_job, planned), strict=True), 1):
            episodes.setdefault(job.robot, []).extend(part)
            now = time.monotonic()
            if now - said >= REPORT_S or number == len(planned):
                said = now
                print(f"{number} of {len(planned)} paths, {now - begin:.0f} s", file=sys.stderr, flush=True)
    return episodes


if __name__ == "__main__":
    sys.exit(main())
