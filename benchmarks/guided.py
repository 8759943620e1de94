"""What guidance costs: a chunk steered towards the running plan (`unichunk run --guided`) against a plain one.

    unichunk bench guided [--policy BUNDLE] [--steps 4 10] [--rounds 0 2] [--json FILE] [--quick]

Each Euler step of a guided chunk also takes a vector back through the action expert. Same weights, same engine (ONNX
Runtime on the CPU), same observation, in turn; the images are encoded once in both. Without --policy on random weights
(60 million parameters or so, two views), which needs the extra `compile`; a bundle must have been compiled with
--guided. What guidance brings is measured by `past_locking` (on the twins) and `async` (`rtc`).

Prediction, by products of matrices: every weight of the expert is used a second time, the other way round, and in
attention the way back needs one product more for each one with the prefix and two for each one among the rows: a factor
of 2, and more where operations between products count.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.stages.graph_times import graph_times
from unichunk.benchmarks.stages.random_bundles import DATASET, data_config, write_random_checkpoint
from unichunk.benchmarks.stages.robots import with_views
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy import EngineOptions, Policy

if TYPE_CHECKING:
    from unichunk.benchmarks.stages.random_bundles import Size

NAME: Final = "guided"
QUICK_REPETITIONS: Final = 6
ROBOT: Final = "so101"
DELAY: Final = 4
VIEWS: Final = 2


@dataclass(frozen=True)
class Options:
    """Time guided chunks beside plain ones and print a table."""

    json: Path | None = None
    """Where to write the numbers as JSON."""
    quick: bool = False
    """A tiny model and few repetitions, to see that the benchmark works."""
    policy: Path | None = None
    """Bundle to measure instead of random ones, with the graphs that it has."""
    embodiment: str = ROBOT
    """Its robot."""
    steps: tuple[int, ...] = (4, 10)
    """Euler steps of a round, of random bundles."""
    rounds: tuple[int, ...] = (0, 2)
    """Refinement rounds."""
    repetitions: int = 30
    """Repetitions of each, interleaved."""
    threads: int = 1
    """Threads inside one operator, for both."""


def main() -> int:
    """Run the benchmark; status 2 for options that make no sense, 3 for a policy that does not fit."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    complaint = complaints(options)
    if complaint:
        print(f"unichunk bench {NAME}: {complaint}", file=sys.stderr)
        return 2
    if options.policy is None:
        need_extras(NAME, "compile")
    try:
        with tempfile.TemporaryDirectory() as folder:
            measured = _measured(options, Path(folder))
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        return 3
    print(
        markdown_table(
            ("policy", "K", "N", "prefix [ms]", "chunk [ms]", "guided chunk [ms]", "guided / plain chunk", "inference"),
            [(*row.values(), chunk, whole) for row, chunk, whole in measured],
        )
    )
    ratios: dict[str, Ratio] = {}
    for row, chunk, whole in measured:
        label = f"{row['policy']}, K = {row['steps']}, N = {row['refinement_rounds']}"
        ratios |= {f"guided / plain chunk: {label}": chunk, f"guided / plain inference: {label}": whole}
    rows = [row for row, _, _ in measured]
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios, threads=options.threads, rows=rows))
    return 0


def complaints(options: Options) -> str:
    """What is wrong with the options, in a line; empty where nothing is."""
    if not (options.steps and options.rounds):
        return "--steps, --rounds: expected at least one of each"
    for name, least, values in (
        ("steps", 1, options.steps),
        ("rounds", 0, options.rounds),
        ("repetitions", 1, (options.repetitions,)),
        ("threads", 1, (options.threads,)),
    ):
        if min(values) < least:
            return f"--{name}: expected at least {least}, got {min(values)}"
    return ""


def _measured(options: Options, folder: Path) -> list[tuple[dict[str, Any], Ratio, Ratio]]:
    bundle, rounds = options.policy, options.rounds
    steps: tuple[int | None, ...] = (None,)
    if bundle is None:
        steps = options.steps
        bundle = random_bundle(folder, "tiny" if options.quick else "small", options.steps, max(rounds))
    repetitions = QUICK_REPETITIONS if options.quick else options.repetitions
    return [
        compared(bundle, options.embodiment, *case, repetitions, options.threads) for case in product(steps, rounds)
    ]


def compared(
    bundle: Path, robot: str, steps: int | None, rounds: int, repetitions: int, threads: int
) -> tuple[dict[str, Any], Ratio, Ratio]:
    """Medians, and how many times as long a guided chunk, and a whole inference with it, takes."""
    engine = EngineOptions(threads=threads)
    policies = {
        name: Policy.load(
            bundle, embodiment=robot, steps=steps, refinement_rounds=rounds, guided=name == "guided", engine=engine
        )
        for name in ("plain", "guided")
    }
    cases = {
        name: lambda policy=policy: graph_times(policy, 1, delay=DELAY, warm_up=0) for name, policy in policies.items()
    }
    times = {
        name: {part: [one[part][0] for one in found] for part in ("prefix_s", "chunk_s")}
        for name, found in interleave(cases, repetitions, warm_up=2).items()
    }
    whole = {name: np.add(found["prefix_s"], found["chunk_s"]).tolist() for name, found in times.items()}
    plain = policies["plain"]
    row = {
        "policy": plain.manifest.name,
        "steps": plain.steps,
        "refinement_rounds": rounds,
        "prefix_ms": 1e3 * float(np.median(times["plain"]["prefix_s"])),
        "chunk_ms": 1e3 * float(np.median(times["plain"]["chunk_s"])),
        "guided_chunk_ms": 1e3 * float(np.median(times["guided"]["chunk_s"])),
    }
    return (
        row,
        paired_ratio(times["guided"]["chunk_s"], times["plain"]["chunk_s"], better="lower"),
        paired_ratio(whole["guided"], whole["plain"], better="lower"),
    )


def random_bundle(folder: Path, size: Size, steps: tuple[int, ...], rounds: int) -> Path:
    """A bundle of random weights with guided graphs, for a robot with two cameras."""
    from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: PLC0415  (the extra, here and below)
    from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: PLC0415
    from unichunk.runtime.compile.robots import RobotSource  # noqa: PLC0415

    spec = with_views(load_spec(ROBOT), VIEWS)
    checkpoint, config, bundle = folder / f"random_{size}", folder / "config.json", folder / "bundle"
    write_random_checkpoint(checkpoint, size, spec, "joints", VIEWS)
    config.write_bytes(msgspec.json.encode(data_config(spec, "joints")))
    source = RobotSource(config, DATASET, name=ROBOT)
    options = CompileOptions(robots=(source,), steps=steps, refinement_rounds=rounds, guided=True)
    compile_checkpoint(checkpoint, bundle, options)
    return bundle


if __name__ == "__main__":
    sys.exit(main())
