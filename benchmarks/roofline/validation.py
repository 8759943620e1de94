"""Predicted against measured, on the processor this runs on."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.roofline.bundles import model_of_bundle
from unichunk.benchmarks.roofline.fit import Parts, Sample, errors, fitted, left_out
from unichunk.benchmarks.roofline.measure import measured, measurements
from unichunk.benchmarks.roofline.prediction import predict
from unichunk.benchmarks.roofline.stages import stages
from unichunk.benchmarks.stages.graph_times import graph_times
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.policy import EngineOptions, Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unichunk.benchmarks.roofline.prediction import StageTime
    from unichunk.benchmarks.roofline.rates import Rates

ROUNDS: Final = 2
"""MPG rounds of the refined graphs."""

REPEATS: Final = 3
"""Inferences in a row each time it is a graph's turn; one more before them does not count."""

ALONE: Final = "s"

DATASET: Final = "uni_posttrain"
DATA_CONFIG: Final = "libero_nonorm"


def _sizes(scale: int, layers: int, vision_layers: int, *, rows: int = 16, steps: int = 4) -> Sizes:
    """Widths are `scale` times 64."""
    return Sizes(
        vision_width=32 * scale,
        vision_layers=vision_layers,
        vision_heads=scale,
        vision_mlp=128 * scale,
        vision_image_size=112,
        image_size=112,
        width=64 * scale,
        mlp=192 * scale,
        layers=layers,
        heads=scale,
        kv_heads=scale // 2,
        head_dim=64,
        expert_width=32 * scale,
        expert_mlp=96 * scale,
        rows=rows,
        steps=steps,
        mpg_projections=32,
        mpg_rounds=ROUNDS,
    )


SMALL: Final[Mapping[str, Sizes]] = {
    "narrow": _sizes(2, 3, 2),
    "slim": _sizes(4, 4, 3, rows=24, steps=5),
}
LARGE: Final[Mapping[str, Sizes]] = {
    "even": _sizes(6, 8, 6),
    "deep": _sizes(4, 16, 4),
    "wide": _sizes(12, 6, 4),
    "seeing": _sizes(6, 4, 16),
    "broad": _sizes(16, 8, 8, rows=16, steps=4),
}


def validate(*, rounds: int, threads: int, quick: bool) -> dict[str, Any]:
    """Measure this processor and the graphs of several models; predict each model's with what the others tell.

    Args:
        rounds: Repetitions that count.
        threads: Inside one operator.
        quick: Small models only.
    """
    with tempfile.TemporaryDirectory() as name:
        folders = _folders(Path(name), SMALL if quick else {**SMALL, **LARGE})
        _say(f"measuring this processor and the graphs of {len(folders)} models in turn, {rounds} times")
        alone = measurements(threads)
        cases = _graphs(folders, threads) | {case: partial(_alone, action) for case, action in alone.items()}
        times = _joined(interleave(cases, rounds))
        device = measured(threads, {case: times[case][ALONE] for case in alone})
        samples = _samples(folders, device.rates(), times)
    pairs = left_out(samples)
    return {
        "prediction": True,
        "device": device.row(),
        "factors": fitted(samples).row(),
        "left_out": errors(pairs),
        "median_spread_percent": 100 * float(np.median([sample.spread for sample in samples])),
        "rows": [
            {
                "prediction": True,
                "model": sample.model,
                "graph": sample.graph,
                "predicted_ms": 1e3 * predicted,
                "measured_ms": 1e3 * sample.measured_s,
                "measured_spread_percent": 100 * sample.spread,
                "error_percent": 100 * (predicted / sample.measured_s - 1),
            }
            for sample, predicted in pairs
        ],
    }


def _folders(scratch: Path, sizes: Mapping[str, Sizes]) -> dict[str, Path]:
    """The shipped bundle, and random ones compiled for this."""
    folders = {"generalist": shipped_bundles()[0]}
    for name, size in sizes.items():
        _say(f"compiling a random checkpoint, {name!r}")
        random_checkpoint(scratch / f"{name}-checkpoint", size)
        options = CompileOptions(DATA_CONFIG, DATASET, refinement_rounds=ROUNDS)
        compile_checkpoint(scratch / f"{name}-checkpoint", scratch / name, options)
        folders[name] = scratch / name
    return folders


def _say(line: str) -> None:
    print(f"checking predictions: {line}", file=sys.stderr)


def _graphs(folders: Mapping[str, Path], threads: int) -> dict[str, Callable[[], dict[str, list[float]]]]:
    """What times the graphs of each model, without refinement and with it."""
    return {
        _case(name, refined): partial(graph_times, _policy(folder, refined, threads), REPEATS)
        for name, folder in folders.items()
        for refined in (0, ROUNDS)
    }


def _alone(case: Callable[[], float]) -> dict[str, list[float]]:
    return {ALONE: [case()]}


def _joined(results: Mapping[str, list[dict[str, list[float]]]]) -> dict[str, dict[str, list[float]]]:
    """All rounds of each case in one list."""
    return {
        name: {key: [value for one in rounds for value in one[key]] for key in rounds[0]}
        for name, rounds in results.items()
    }


def _samples(folders: Mapping[str, Path], rates: Rates, times: Mapping[str, Mapping[str, list[float]]]) -> list[Sample]:
    samples = []
    for name, folder in folders.items():
        model = model_of_bundle(folder)
        for refined, graph in ((0, "prefix"), (0, "chunk"), (ROUNDS, "chunk")):
            found = [stage for stage in stages(model.asked(rounds=refined)) if stage.graph == graph]
            low, median, high = np.quantile(times[_case(name, refined)][f"{graph}_s"], [0.25, 0.5, 0.75])
            label = graph if graph == "prefix" else f"chunk, N = {refined}"
            parts = _parts(predict(found, rates))
            samples.append(Sample(name, label, parts, float(median), float((high - low) / median)))
    return samples


def _parts(times: list[StageTime]) -> Parts:
    return Parts(
        products=sum(time.products_s for time in times),
        hidden=sum(time.hidden_s for time in times),
        pointwise=sum(time.pointwise_s for time in times),
        launches=sum(time.launch_s for time in times),
    )


def _case(name: str, refined: int) -> str:
    return f"{name}, N = {refined}"


def _policy(folder: Path, refined: int, threads: int) -> Policy:
    robot = read_manifest(folder).embodiments[0]
    return Policy.load(folder, embodiment=robot, refinement_rounds=refined, engine=EngineOptions(threads=threads))
