"""A policy that takes longer than it needs, to act or to think, for experiments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from unichunk.runtime.wrapped_policy import WrappedPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Chunk, ChunkPolicy
    from unichunk.runtime.reasoning import Reasoner


class InjectedLatency(WrappedPolicy):
    """Wraps a policy and sleeps after each inference.

    Args:
        policy: The policy.
        latency_s: Time added to each inference, [s].
        after_s: Added only from this long after the first inference on, [s].
    """

    def __init__(self, policy: ChunkPolicy, latency_s: float, after_s: float = 0.0) -> None:
        super().__init__(policy)
        self._latency_s = latency_s
        self._after_s = after_s
        self._begun: float | None = None

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        """Infer, then sleep."""
        if self._begun is None:
            self._begun = time.monotonic()
        chunk = self._policy.infer(observation, previous_chunk, delay)
        if time.monotonic() - self._begun >= self._after_s:
            time.sleep(self._latency_s)
        return chunk


class InjectedThoughtLatency:
    """Wraps a reasoner and sleeps after each step, as a larger model would take longer.

    Args:
        reasoner: The reasoner.
        latency_s: Time added to each step, [s].
    """

    def __init__(self, reasoner: Reasoner, latency_s: float) -> None:
        self._reasoner = reasoner
        self._latency_s = latency_s

    @property
    def most_steps(self) -> int:
        """Of the wrapped reasoner."""
        return self._reasoner.most_steps

    def begin(self, observation: Mapping[str, Any]) -> None:
        """As the wrapped reasoner does."""
        self._reasoner.begin(observation)

    def step(self) -> str | None:
        """Write, then sleep."""
        text = self._reasoner.step()
        time.sleep(self._latency_s)
        return text
