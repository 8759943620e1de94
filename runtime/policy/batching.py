"""Several requests through the graphs at once, in whichever runs take the least time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Engine, Value


@dataclass(frozen=True, eq=False)
class BatchEngines:
    """Both graphs for a number of requests.

    Attributes:
        size: Requests that they compute at once.
        prefix: Engine of the prefix graph.
        chunk: Engine of the chunk graph.
    """

    size: int
    prefix: Engine
    chunk: Engine

    def run(self, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[Mapping[str, Value]]:
        """Inputs of 1 to `size` requests -> outputs of the chunk graph for each.

        Places that are left are filled with the last request again: numbers that the graphs are made for.
        """
        filled = [*inputs, *[inputs[-1]] * (self.size - len(inputs))]
        stacked = {name: np.stack([request[name] for request in filled]) for name in inputs[0]}
        outputs = self.chunk.run({**stacked, **self.prefix.run(stacked)})
        arrays = {name: value.numpy() for name, value in outputs.items()}
        return [{name: Held(array[index]) for name, array in arrays.items()} for index in range(len(inputs))]


@dataclass(frozen=True)
class Held:
    """An array that is in numpy's hands already, among an engine's values."""

    array: NDArray[Any]

    def numpy(self) -> NDArray[Any]:
        """The array."""
        return self.array


def runs(count: int, costs: Mapping[int, float]) -> tuple[int, ...]:
    """Sizes of the runs that take the least time for a number of requests, the largest first.

    Args:
        count: Requests, 0 or more.
        costs: Size of a run, 1 among them -> how long it takes.

    Returns:
        Their sum is `count` or, where leaving places empty is faster than a further run, more.
    """
    largest = max(costs)
    # Beyond this many, runs of the largest size are the best beginning, or near enough.
    whole = max(0, count // largest - 2)
    return (*[largest] * whole, *_best(count - whole * largest, tuple(costs.items())))


@cache
def _best(count: int, costs: tuple[tuple[int, float], ...]) -> tuple[int, ...]:
    if count <= 0:
        return ()
    known = dict(costs)
    ways = [tuple(sorted((size, *_best(count - size, costs)), reverse=True)) for size in known]
    return min(ways, key=lambda way: (sum(known[size] for size in way), len(way)))
