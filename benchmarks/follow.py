"""How well the shipped policy does its task: with and without refinement (MPG), under disturbances, by delay.

    python -m unichunk.benchmarks.follow [--embodiment NAME] [--json FILE] [--quick]

Closed loop with a simulated robot in virtual time: no clock, so the machine's speed does not matter. Every policy runs
on the same paths of the blocks, under the same disturbances, with the same instructions. Needs the extra `sim`.
"""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.hands import POSTURES, Posture
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.run_command import shipped_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.embodiments.sim.evaluation import Evaluation, Trial
    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy

NAME: Final = "follow"
FIRST_SEED: Final = 201


@dataclass(frozen=True)
class Options:
    """Evaluate a policy bundle on the follow task and print tables."""

    embodiment: str = "so101"
    """The robot."""
    json: Path | None = None
    """Where to write all runs as JSON."""
    quick: bool = False
    """Two paths, clean view, one delay."""
    policy: Path | None = None
    """Bundle to evaluate instead of the shipped one."""
    paths: int = 24
    """Number of paths of the blocks; each is run with both blocks named."""
    postures: tuple[Posture, ...] = POSTURES
    """Postures of the hands that are asked for, under the first condition; the first of them under all."""
    conditions: tuple[str, ...] = ()
    """Views: clean, or one of the disturbances; all if left out."""
    rounds: tuple[int, ...] = ()
    """Refinement rounds of the policies to compare; all that the bundle has graphs for if left out."""
    delay: int = 4
    """d of the comparison under disturbances, in ticks."""
    delays: tuple[int, ...] = (1, 2, 4, 6, 8, 12)
    """Delays of the second table, clean view only."""
    delay_paths: int = 8
    """Number of paths of the second table."""
    workers: int = 2
    """Processes."""


@dataclass(frozen=True)
class _Job:
    embodiment: str
    bundle: Path
    postures: tuple[Posture, ...]
    conditions: tuple[str, ...]
    rounds: tuple[int, ...]
    seed: int
    delay: int


def main() -> None:
    """Run the evaluation."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "sim")
    from unichunk.embodiments.sim.conditions import CONDITIONS  # noqa: PLC0415  (the extra)

    known = tuple(condition.name for condition in CONDITIONS)
    names = (options.conditions or known)[: 1 if options.quick else None]
    _check(names, known, "--conditions")
    try:
        bundle = options.policy or shipped_bundle(options.embodiment)
        manifest = read_manifest(bundle)
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        raise SystemExit(3) from None
    graphs = [graph.refinement_rounds for graph in manifest.graphs.chunks]
    rounds = options.rounds or tuple(graphs)
    _check(rounds, graphs, "--rounds")
    longest = manifest.chunk_length // 2
    _check((options.delay,), range(longest + 1), "--delay")
    delays = () if options.quick else options.delays
    _check(delays, range(longest + 1), "--delays")
    robot = options.embodiment, bundle, options.postures
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if options.quick else options.paths))
    # Forked children would share the parent's graphics libraries; spawned ones start clean.
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        evaluation = _evaluation(pool, [_Job(*robot, names, rounds, seed, options.delay) for seed in seeds])
        print(f"d = {options.delay}, {len(seeds)} paths, both blocks, 20 s each\n\n{evaluation.table()}\n")
        if len(rounds) > 1:
            print(evaluation.comparison(_label(rounds[0])))
        ratios = _ratios(evaluation, names, rounds)
        rows = [{"delay": options.delay, **row} for row in evaluation.rows()]
        by_delay: list[dict[str, Any]] = []
        result = {
            "embodiment": options.embodiment,
            "policy": manifest.name,
            "conditions": {"delay": options.delay, "runs": evaluation.documents()},
            "delays": by_delay,
        }
        for delay in delays:
            jobs = [_Job(*robot, names[:1], rounds, seed, delay) for seed in seeds[: options.delay_paths]]
            evaluation = _evaluation(pool, jobs)
            print(f"\nd = {delay}, {len(jobs)} paths\n\n{evaluation.table()}")
            rows += [{"delay": delay, **row} for row in evaluation.rows()]
            by_delay.append({"delay": delay, "runs": evaluation.documents()})
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios, rows=rows, **result))


def _check(given: Sequence[object], known: Sequence[object], option: str) -> None:
    for one in given:
        if one not in known:
            print(
                f"unichunk bench {NAME}: {option} {one}: expected some of {', '.join(map(str, known))}", file=sys.stderr
            )
            raise SystemExit(2)


def _ratios(evaluation: Evaluation, conditions: Sequence[str], rounds: Sequence[int]) -> dict[str, Ratio]:
    """Errors of each policy over those of the first, path by path."""
    base = _label(rounds[0])
    return {
        f"error, {condition}: {_label(more)} / {base}": paired_ratio(
            *(
                list(evaluation.by_path(condition, label, lambda score: score.error).values())
                for label in (_label(more), base)
            ),
            better="lower",
        )
        for condition in conditions
        for more in rounds[1:]
    }


def _evaluation(pool: Any, jobs: list[_Job]) -> Evaluation:
    from unichunk.embodiments.sim.conditions import CONDITIONS  # noqa: PLC0415  (the extra)
    from unichunk.embodiments.sim.evaluation import Evaluation  # noqa: PLC0415  (the extra)

    trials: list[Trial] = []
    for part in pool.imap(_run, jobs):
        trials += part
    # Grouped by condition and policy, whatever the order in which the paths were run.
    order = {condition.name: index for index, condition in enumerate(CONDITIONS)}
    return Evaluation(sorted(trials, key=lambda trial: order[trial.condition]))


def _run(job: _Job) -> list[Trial]:
    from unichunk.embodiments.sim.conditions import CONDITIONS  # noqa: PLC0415  (the extra)
    from unichunk.embodiments.sim.evaluation import evaluate  # noqa: PLC0415  (the extra)

    spec = load_spec(job.embodiment)
    policies: list[tuple[str, ChunkPolicy, Adapter]] = []
    for rounds in job.rounds:
        policy = Policy.load(job.bundle, embodiment=spec.name, refinement_rounds=rounds)
        policies.append((_label(rounds), policy, EmbodimentAdapter(spec, policy.robot, str(job.bundle))))
    conditions = [condition for condition in CONDITIONS if condition.name in job.conditions]
    camera = read_manifest(job.bundle).robots[spec.name].cameras[0]
    evaluation = evaluate(
        spec,
        policies,
        camera,
        conditions=conditions,
        postures=job.postures,
        seeds=(job.seed,),
        delay=job.delay,
    )
    return list(evaluation.trials)


def _label(rounds: int) -> str:
    return f"N = {rounds}"


if __name__ == "__main__":
    main()
