"""Which engine, in which precision: times of both graphs, how near to the least possible, how far off the numbers.

    unichunk bench engines [--sizes small 2b] [--precisions fp32 fp16 bf16 int8] [--steps 4 10] [--json FILE]

A checkpoint of random weights in a published architecture is compiled in every precision. Each engine that is there
builds its graphs; what is not there, or does not take a precision, says why. First the contract is checked: locked rows
come back bit by bit, the same request gives the same bits whatever was asked in between, and numbers are compared with
those of float32 on the CPU; so are those of each precision by itself, halves emulated. Weights are random: what a
precision does to a trained policy is told when that is compiled (`--observations`). Then the engines take turns, on a
GPU with recorded CUDA graphs and without. The floor of a graph is the longer of its weights read once in every pass at
full bandwidth, and its products at peak: of a GPU by its datasheet, of a processor as measured in the same turns.
Needs the extra `compile`.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tyro

from unichunk.benchmarks.engine_runs.arms import ARMS, ArmName, arms_of
from unichunk.benchmarks.engine_runs.bundles import BASE, Precision, Workload, compile_bundle, write_checkpoint
from unichunk.benchmarks.engine_runs.deviations import Chunks, OnCpu, deviation_rows
from unichunk.benchmarks.engine_runs.floor import gpu_rates, recognized, yardstick
from unichunk.benchmarks.engine_runs.measuring import Effort, Results, Subject, measure_bundle
from unichunk.benchmarks.engine_runs.report import tables
from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.machine import describe_machine
from unichunk.benchmarks.roofline.errors import ProjectionError
from unichunk.benchmarks.stages.random_bundles import Size  # noqa: TC001  tyro reads the annotations
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.runtime.policy import EngineOptions

NAME: Final = "engines"
USAGE: Final = 2


@dataclass(frozen=True)
class Options:
    """Measure engines on this machine, and print tables."""

    engines: tuple[ArmName, ...] = ARMS
    """Which ones; `onnxruntime-bound` is ONNX Runtime on the CPU with inputs and outputs bound as on a GPU."""
    sizes: tuple[Size, ...] = ("small",)
    """Of the model."""
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8")
    """Of the bundles."""
    views: int = 2
    """Images that the policy looks at."""
    steps: tuple[int, ...] = (4, 10)
    """Numbers of Euler steps."""
    rounds: int = 2
    """Refinement rounds (MPG), beside none."""
    threads: int = 1
    """Threads inside one operator, on the CPU."""
    device: int = 0
    """Number of the GPU."""
    datasheet: str | None = None
    """Whose floor a GPU is compared with, such as `agx-orin-64`; without it, the one that the GPU's name tells."""
    cache: Path | None = None
    """Folder of built engines; the user's cache folder otherwise."""
    visits: int = 12
    """To each engine, in turn with the others."""
    repeats: int = 600
    """Most inferences of each in all visits; a 99th percentile takes 500."""
    seconds: float = 15.0
    """What those of one engine may take with one bundle's chunk graph."""
    requests: int = 4
    """Requests whose chunks are compared."""
    no_reference: bool = False
    """Compare with nothing: float32 on the CPU takes a while and some memory for large models."""
    folder: Path | None = None
    """Where checkpoint and bundles go meanwhile; a temporary folder otherwise."""
    json: Path | None = None
    """Where to write all numbers."""
    quick: bool = False
    """The tiny model and few repetitions, to see that it works."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    for complaint in complaints(options):
        print(f"unichunk bench {NAME}: {complaint}", file=sys.stderr)
        raise SystemExit(USAGE)
    check_writable(options.json)
    need_extras(NAME, "compile")
    try:
        with ended_by_signals(NAME):
            result = measured(options)
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        raise SystemExit(EXIT_STATUS[ExitReason.REFUSED]) from None
    write_json(options.json, result)
    print(tables(result))


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each."""
    found = [
        f"--{name} {value}: expected at least {least}"
        for name, values, least in (
            ("views", (options.views,), 1),
            ("steps", options.steps, 1),
            ("rounds", (options.rounds,), 0),
            ("threads", (options.threads,), 1),
            ("visits", (options.visits,), 1),
            ("repeats", (options.repeats,), 1),
            ("requests", (options.requests,), 2),
        )
        for value in values
        if value < least
    ]
    found += [
        f"--{name}: expected at least one"
        for name in ("engines", "sizes", "precisions", "steps")
        if not getattr(options, name)
    ]
    if not options.seconds > 0:
        found.append(f"--seconds {options.seconds:g}: expected more than 0")
    if options.datasheet is not None:
        try:
            gpu_rates(options.datasheet, BASE)
        except ProjectionError as error:
            found.append(f"--datasheet: {error}")
    return found


def measured(options: Options) -> dict[str, Any]:
    """The document.

    Raises:
        UnichunkError: A checkpoint that cannot be compiled.
    """
    quick, results = options.quick, Results()
    datasheet = options.datasheet or recognized(str(describe_machine().get("gpu", "")))
    for size in ("tiny",) if quick else options.sizes:
        workload = Workload(size, options.views, options.steps[: 1 if quick else None], options.rounds)
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            _measure_size(options, workload, Path(name), datasheet, results)
    return document(
        NAME,
        quick=quick,
        ratios=results.ratios,
        floor={"datasheet": datasheet, "processor": results.processor},
        deviations=results.deviations,
        refused=results.refused,
        rows=results.rows,
    )


def _measure_size(options: Options, workload: Workload, folder: Path, datasheet: str | None, results: Results) -> None:
    effort = Effort(
        visits=3 if options.quick else options.visits,
        repeats=30 if options.quick else options.repeats,
        seconds=1.0 if options.quick else options.seconds,
        requests=options.requests,
    )
    engine = EngineOptions(threads=options.threads, device=options.device, cache=options.cache)
    arms = arms_of(options.engines)
    checkpoint, base = folder / "checkpoint", folder / BASE
    _say(f"{workload.size}: a random checkpoint")
    write_checkpoint(checkpoint, workload)
    cpu, reference = OnCpu(workload, engine, options.requests), Chunks()
    if not options.no_reference:
        _say(f"{workload.size}: float32 on the CPU, to compare with")
        compile_bundle(checkpoint, base, workload, BASE)
        reference = cpu.chunks(base)
    for precision in dict.fromkeys(options.precisions):
        bundle = folder / precision
        if not bundle.exists():
            _say(f"{workload.size}: compiling for {precision}")
            compile_bundle(checkpoint, bundle, workload, precision)
        if reference and precision != BASE:
            _say(f"{workload.size}: {precision} on the CPU")
            results.deviations += deviation_rows(cpu, bundle, precision, reference)
        subject = Subject(bundle, workload, precision, reference)
        of_gpu = None if datasheet is None else gpu_rates(datasheet, precision)
        measure_bundle(subject, arms, engine, effort, yardstick(options.threads, of_gpu), results, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
