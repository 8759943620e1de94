"""Times of a policy's two graphs, apart from everything around them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.runtime.policy import Policy


def graph_times(
    policy: Policy,
    repeats: int,
    *,
    observation: Mapping[str, Any] | None = None,
    delay: int = 0,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Run both graphs again and again, in turn as an inference does, on inputs that were prepared before.

    Args:
        policy: Loaded.
        repeats: Inferences that count.
        observation: What it sees; `policy.example_observation` where left out. Dense graphs take as long for any.
        delay: Rows that are locked, of a previous chunk of zeros.
        warm_up: Inferences before them, which do not count: the first one allocates.

    Returns:
        `prefix_s` and `chunk_s`: times of the prefix graph and of the chunk graph (all rounds of all Euler steps), one
        of each for every repetition, [s].
    """
    observation = policy.example_observation() if observation is None else observation
    inputs = policy.preprocess(observation)
    if delay:
        inputs = policy.preprocess(observation, inputs["previous_chunk"], delay)
    times: dict[str, list[float]] = {"prefix_s": [], "chunk_s": []}
    for number in range(-warm_up, repeats):
        begun = time.perf_counter()
        prefix = policy.prefix(inputs)
        between = time.perf_counter()
        policy.denoise(inputs, prefix)
        ended = time.perf_counter()
        if number >= 0:
            times["prefix_s"].append(between - begun)
            times["chunk_s"].append(ended - between)
    return times
