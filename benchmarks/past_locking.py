"""What goes past plain locking: ways of bridging the delay, with any policies, on the same paths of a twin.

    unichunk bench past_locking [--arms LABEL=MODE:BUNDLE ...] [--delays 2 4 6 8 10] [--json FILE] [--quick]

An arm is a policy and how it is executed:

- `naive`: the policy plans from the observation alone, its rows from d on take over;
- `locked`: it is told which rows are committed, as the runtime does, and the state that its bundle asks for: that of
  the observation, or the one expected when its rows take over (`state_time`, roll-forward);
- `stale`: locked, but told the observation's state whatever its bundle asks for: what roll-forward is worth to it;
- `guided`: it is steered towards the running plan (inference-time real-time chunking; a bundle compiled for it).

Without --arms the shipped policy runs naively and locked. Closed loop in virtual time, so the machine's speed does not
matter; d is given. All arms run on the same paths of the blocks with the same seeds of the noise, and each is compared
with the first one path by path: both runs on a path are averaged first, since they are not independent. One training
seed behind each policy is one: differences between policies hold for these two policies. Needs the extra `sim`.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.past_locking_plan import Arm, Job, check_arm, parse_arm, shipped_arms
from unichunk.benchmarks.past_locking_summary import comparison_table, comparisons, ratios, rows, success_table
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.past_locking_plan import Episode

NAME: Final = "past_locking"
FIRST_SEED: Final = 201
QUICK_PATHS: Final = 2
QUICK_S: Final = 8.0
REPORT_S: Final = 20.0
"""How often progress is told."""

SHORTEST_S: Final = 5.0
"""After an instruction there are two seconds to get there."""

LONGEST_S: Final = 3600.0


@dataclass(frozen=True)
class Options:
    """Run policies in several ways under the same delays and print tables."""

    json: Path | None = None
    """Where to write rows and runs as JSON."""
    quick: bool = False
    """Two paths, the first of the delays, runs of 8 s."""
    arms: tuple[str, ...] = ()
    """LABEL=MODE:BUNDLE each, MODE one of naive, locked, stale, guided; the others are compared with the first."""
    embodiment: str = "so101"
    """The robot."""
    delays: tuple[int, ...] = (2, 4, 6, 8, 10)
    """d, in ticks; at most half a chunk."""
    paths: int = 24
    """Number of paths of the blocks; each is run with both blocks named."""
    rounds: int = 0
    """Refinement rounds of all policies."""
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
        arms = tuple(map(parse_arm, options.arms)) or shipped_arms(options.embodiment)
        names = [check_arm(arm, options.embodiment, options.rounds, max(options.delays)) for arm in arms]
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        return 3
    episodes = _run(jobs(options, arms), options.workers)
    labels = [arm.label for arm in arms]
    print(f"\n{success_table(episodes, labels)}\n")
    found = ratios(episodes, labels)
    if found:
        print(f"{comparison_table(episodes, labels)}\n")
    parts = {
        "embodiment": options.embodiment,
        "arms": [{"label": arm.label, "mode": arm.mode, "policy": name} for arm, name in zip(arms, names, strict=True)],
        "rows": rows(episodes),
        "comparisons": comparisons(episodes, labels),
        "episodes": [asdict(episode) for episode in episodes],
    }
    write_json(options.json, document(NAME, quick=options.quick, ratios=found, **parts))
    return 0


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each."""
    found = [f"--delays {delay}: expected at least 0" for delay in options.delays if delay < 0]
    if not options.delays:
        found.append("--delays: expected at least one")
    counts = {"paths": options.paths, "workers": options.workers}
    found += [f"--{name} {value}: expected at least 1" for name, value in counts.items() if value < 1]
    if not SHORTEST_S <= options.duration <= LONGEST_S:
        found.append(f"--duration {options.duration:g}: expected {SHORTEST_S:g} to {LONGEST_S:g} s")
    labels = [arm.partition("=")[0] for arm in options.arms]
    if len(set(labels)) < len(labels):
        found.append(f"--arms: expected each label once, got {', '.join(labels)}")
    return found


def jobs(options: Options, arms: tuple[Arm, ...]) -> list[Job]:
    """All that is to be run, a path each."""
    paths, duration_s = (QUICK_PATHS, QUICK_S) if options.quick else (options.paths, options.duration)
    delays = options.delays[:1] if options.quick else options.delays
    return [
        Job(options.embodiment, arms, FIRST_SEED + path, duration_s, delays, options.rounds) for path in range(paths)
    ]


def _run(planned: Sequence[Job], workers: int) -> list[Episode]:
    from unichunk.benchmarks.past_locking_episodes import run_job  # noqa: PLC0415  needs the simulator, help does not

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


if __name__ == "__main__":
    sys.exit(main())
