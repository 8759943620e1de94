"""A policy around another one, which it passes on to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Chunk, ChunkPolicy
    from unichunk.runtime.policy.manifest import StateTime


class WrappedPolicy:
    """Passes everything on to a policy; what comes between is for subclasses to say.

    Args:
        policy: What answers.
    """

    def __init__(self, policy: ChunkPolicy) -> None:
        self._policy = policy

    @property
    def chunk_length(self) -> int:
        """T of the wrapped policy."""
        return self._policy.chunk_length

    @property
    def max_delay(self) -> int:
        """Longest trained prefix of the wrapped policy."""
        return self._policy.max_delay

    @property
    def locks(self) -> bool:
        """Whether the wrapped policy's locked rows shape the rows after them."""
        return self._policy.locks

    @property
    def state_time(self) -> StateTime:
        """Whose state the wrapped policy is told."""
        return self._policy.state_time

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        """As the wrapped policy does."""
        return self._policy.infer(observation, previous_chunk, delay)

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        """As the wrapped policy does."""
        return self._policy.encode_actions(actions)
