"""Which of a bundle's graphs for several requests are worth having on this machine: it is measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.policy.batching import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.policy.batching import BatchEngines

GAIN: Final = 0.9
"""A batch that takes longer than this part of its requests one after the other is not worth waiting for."""
LEAST_RUNS: Final = 2
MOST_RUNS: Final = 10
ENOUGH_S: Final = 0.3
"""After the least number of runs, there are no more when they have taken this long, [s]."""


def worthwhile(
    alone: Callable[[], object],
    batches: Iterable[BatchEngines],
    example: Mapping[str, NDArray[Any]],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[BatchEngines, float]:
    """Graphs for several requests that are faster than requests one after the other.

    Products of many rows take less time a row than those of few, and a node of a graph costs something however small it
    is; but what lies between the products may outgrow the processor's caches. So small models gain, and larger ones may
    not.

    Args:
        alone: Infers for one request with the graphs for one.
        batches: The graphs for several, the smallest first; each is asked for when the one before is done with.
        example: Inputs of a request.
        clock: Time, [s].

    Returns:
        Those worth having, the smallest first, with what they cost: how long they take, as a multiple of one request.
    """
    costs = {1: 1.0}
    chosen: dict[BatchEngines, float] = {}
    for engines in batches:
        requests = [example] * engines.size
        one, all_at_once = _shortest([alone, lambda: engines.run(requests)], clock)  # noqa: B023  (called at once)
        cost = all_at_once / one
        if cost < GAIN * engines.size and cost < sum(costs[size] for size in runs(engines.size, costs)):
            chosen[engines] = costs[engines.size] = cost
    return chosen


def _shortest(calls: Sequence[Callable[[], object]], clock: Callable[[], float]) -> list[float]:
    """Shortest of a few runs of each, [s]; in turn, so that a busy moment is not one's alone."""
    times: list[list[float]] = []
    while len(times) < LEAST_RUNS or (len(times) < MOST_RUNS and sum(map(sum, times)) < ENOUGH_S):
        times.append([])
        for call in calls:
            begin = clock()
            call()
            times[-1].append(clock() - begin)
    return [min(column) for column in zip(*times, strict=True)]
