"""Times of both graphs, engines in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.harness.percentiles import percentiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.loaded_graphs import GraphPair

GRAPHS: Final = ("prefix", "chunk")


@dataclass
class Times:
    """Of one engine.

    Attributes:
        prefix_s, chunk_s: Of every inference that counts, [s].
        visits_s: Median of both together in each visit, [s].
    """

    prefix_s: list[float] = field(default_factory=list)
    chunk_s: list[float] = field(default_factory=list)
    visits_s: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Percentiles, [ms]."""
        both = np.add(self.prefix_s, self.chunk_s)
        parts = {"prefix": self.prefix_s, "chunk": self.chunk_s, "both": both}
        return {f"{name}_ms": percentiles(1e3 * np.asarray(values)) for name, values in parts.items()}


def measured_times(
    pairs: Mapping[str, GraphPair],
    inputs: Mapping[str, NDArray[Any]],
    visits: int,
    repeats: int,
    seconds: float,
    beside: Mapping[str, Callable[[], float]],
) -> tuple[dict[str, Times], dict[str, list[float]]]:
    """Run engines in turn, each for a while.

    Args:
        pairs: Both graphs on each engine, by label; run before.
        inputs: Of both graphs; dense graphs take as long for any.
        visits: To each engine.
        repeats: Most inferences of each in all visits.
        seconds: What those of one engine may take; slow ones have fewer, one a visit at least.
        beside: What is measured in the same turns, each gives one value.

    Returns:
        Times of each engine, and the values of each of the others.
    """
    found = {label: Times() for label in pairs}
    cases: dict[tuple[bool, str], Callable[[], Any]] = {(False, name): case for name, case in beside.items()}
    for label, pair in pairs.items():
        ((prefix, chunk),) = _burst(pair, inputs, 1)
        count = min(repeats, seconds / (prefix + chunk)) / visits
        cases[True, label] = partial(_burst, pair, inputs, max(1, int(count)))
    results = interleave(cases, visits)
    for label, times in found.items():
        for burst in results[True, label]:
            times.prefix_s += [prefix for prefix, _ in burst]
            times.chunk_s += [chunk for _, chunk in burst]
            times.visits_s.append(float(np.median(np.sum(burst, axis=1))))
    return found, {name: results[False, name] for name in beside}


def _burst(pair: GraphPair, inputs: Mapping[str, NDArray[Any]], count: int) -> list[tuple[float, float]]:
    """Prefix and chunk of some inferences, [s]; each engine's `run` returns when its graph is done."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        features = pair.prefix.run(inputs)
        between = time.perf_counter()
        pair.chunk.run({**inputs, **features})
        times.append((between - begun, time.perf_counter() - between))
    return times
