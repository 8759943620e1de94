"""One bundle on all engines: built, checked, timed in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.benchmarks.engine_runs.agreement import agreement
from unichunk.benchmarks.engine_runs.floor import graph_floor
from unichunk.benchmarks.engine_runs.requests import Asked
from unichunk.benchmarks.engine_runs.times import GRAPHS, measured_times
from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.runtime.errors import BundleError, EngineError
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.engines.graph_file import graph_file
from unichunk.runtime.policy.graph_choice import chunk_graph, prefix_graph
from unichunk.runtime.policy.loaded_graphs import WARM_UPS, GraphPair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from unichunk.benchmarks.engine_runs.arms import Arm
    from unichunk.benchmarks.engine_runs.bundles import Precision, Workload
    from unichunk.benchmarks.engine_runs.deviations import Chunks
    from unichunk.benchmarks.engine_runs.floor import Yardstick
    from unichunk.benchmarks.engine_runs.times import Times
    from unichunk.benchmarks.roofline.rates import Rates
    from unichunk.runtime.policy.engines.contract import Engine
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.options import EngineOptions


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        visits: To each engine, in turn with the others.
        repeats: Most inferences of each in all visits.
        seconds: What those of one engine may take.
        requests: Whose chunks are compared.
    """

    visits: int
    repeats: int
    seconds: float
    requests: int


@dataclass
class Results:
    """What was found.

    Attributes:
        rows: Of each engine with each chunk graph.
        ratios: Of each engine's times to the first one's of the same bundle, by label.
        processor: What it reached while each chunk graph was measured.
        deviations: Of each precision, apart from any engine.
        refused: Reason -> engines, each with the bundle, that could not be used for it.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    processor: list[dict[str, Any]] = field(default_factory=list)
    deviations: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """A compiled bundle and what it is compared with.

    Attributes:
        bundle: Its folder.
        workload: What it was compiled for.
        precision: Of it.
        reference: Chunks in float32 on the CPU; empty where none were computed.
    """

    bundle: Path
    workload: Workload
    precision: Precision
    reference: Chunks

    @property
    def label(self) -> str:
        """As tables show it."""
        return f"{self.workload.size} {self.precision}"


def measure_bundle(
    subject: Subject,
    arms: Sequence[Arm],
    options: EngineOptions,
    effort: Effort,
    against: Yardstick,
    results: Results,
    say: Callable[[str], None],
) -> None:
    """Measure a bundle on all engines that take it.

    Args:
        subject: The bundle.
        arms: The engines, the one that others are compared with first.
        options: Threads, device, cache.
        effort: How much is measured.
        against: What the engines are held against.
        results: What is found is added here.
        say: Told what is being done.
    """
    manifest, views = read_manifest(subject.bundle), subject.workload.views
    prefixes: dict[Arm, _Built] = {}
    for arm in arms:
        say(f"{subject.label}: {arm.label}")
        file = graph_file(subject.bundle, manifest, prefix_graph(manifest, views), resident=True)
        built = _build(subject, arm, file, options, results)
        if built is not None:
            prefixes[arm] = built
    for steps, rounds in subject.workload.cases:
        graph = chunk_graph(manifest, views, steps=steps, rounds=rounds)
        file = graph_file(subject.bundle, manifest, graph, resident=False)
        chunks = {arm: _build(subject, arm, file, options, results) for arm in prefixes}
        engines = {arm: (prefixes[arm], chunk) for arm, chunk in chunks.items() if chunk is not None}
        if engines:
            say(f"{subject.label}: K = {steps}, N = {rounds}, {len(engines)} engines in turn")
            _measure_case(subject, (steps, rounds), engines, effort, against, results)


@dataclass(frozen=True)
class _Built:
    """An engine, and how long it took to get it, [s]."""

    engine: Engine
    seconds: float


def _build(subject: Subject, arm: Arm, file: GraphFile, options: EngineOptions, results: Results) -> _Built | None:
    begun = time.perf_counter()
    try:
        return _Built(arm.engine(file, options), time.perf_counter() - begun)
    except (BundleError, EngineError) as error:
        reason = str(error).replace(f"{subject.bundle}/", "")
        results.refused.setdefault(reason, []).append(f"{subject.label}: {arm.label}")
        return None


def _measure_case(
    subject: Subject,
    case: tuple[int, int],
    engines: Mapping[Arm, tuple[_Built, _Built]],
    effort: Effort,
    against: Yardstick,
    results: Results,
) -> None:
    steps, rounds = case
    asked = Asked(subject.bundle, steps, rounds)
    requests = asked.requests(effort.requests)
    pairs = {arm: GraphPair(prefix.engine, chunk.engine) for arm, (prefix, chunk) in engines.items()}
    for pair in pairs.values():
        for _ in range(WARM_UPS):
            pair.run(requests[0].inputs)
    kept = {arm: agreement(asked, requests, pair.run, subject.reference.get(case, ())) for arm, pair in pairs.items()}
    labelled = {arm.label: pair for arm, pair in pairs.items()}
    beside = against.processor if not all(arm.on_gpu for arm in pairs) else {}
    times, pace = measured_times(labelled, requests[0].inputs, effort.visits, effort.repeats, effort.seconds, beside)
    rates = {True: against.gpu}
    if pace:
        rates[False], reached = against.processor_rates(pace)
        results.processor.append({"precision": subject.precision, "steps": steps, "rounds": rounds, **reached})
    first = next(iter(pairs))
    for arm in pairs:
        row = {
            "size": subject.workload.size,
            "precision": subject.precision,
            "views": subject.workload.views,
            "steps": steps,
            "rounds": rounds,
            "engine": arm.name,
            "cuda_graphs": arm.cuda_graphs,
            **times[arm.label].row(),
            "prefix_load_s": engines[arm][0].seconds,
            "chunk_load_s": engines[arm][1].seconds,
            "floor": _floors(subject, case, times[arm.label], rates[arm.on_gpu]),
            "agreement": kept[arm],
        }
        results.rows.append(row)
        if arm != first:
            label = f"{arm.label} / {first.label}: {subject.label}, K = {steps}, N = {rounds}"
            results.ratios[label] = paired_ratio(times[arm.label].visits_s, times[first.label].visits_s, better="lower")


def _floors(subject: Subject, case: tuple[int, int], times: Times, rates: Rates | None) -> dict[str, Any]:
    """Of each graph, with the ratio of the median to it."""
    if rates is None:
        return not_measured("no datasheet of this device is at hand; name one with --datasheet")
    model, found = subject.workload.model(subject.precision, *case), {}
    for graph in GRAPHS:
        floor = graph_floor(model, graph, rates)
        median = float(np.median(getattr(times, f"{graph}_s")))
        found[graph] = {**floor.row(), "times_floor": median / floor.seconds}
    return found
