"""A policy that goes wrong from a certain inference on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.policy import PolicyResult
from unichunk.runtime.wrapped_policy import WrappedPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Chunk, ChunkPolicy


class FaultyPolicy(WrappedPolicy):
    """Passes on to a policy, but for one fault.

    Args:
        policy: What answers.
        after: Inferences that go well.
        nan: Then actions are NaN.
        error: Then this is raised.
        stall_s: Then inferences take this long, [s].
        stalls: How many of them.
        zero: Then every action is zero: for absolute joints a pose that does not depend on the observation.
    """

    def __init__(
        self,
        policy: ChunkPolicy,
        *,
        after: int,
        nan: bool = False,
        error: Exception | None = None,
        stall_s: float = 0.0,
        stalls: int = 1,
        zero: bool = False,
    ) -> None:
        super().__init__(policy)
        self._after = after
        self._nan = nan
        self._error = error
        self._stall_s = stall_s
        self._stalls = stalls
        self._zero = zero
        self.calls = 0

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        self.calls += 1
        result = self._policy.infer(observation, previous_chunk, delay)
        if self.calls <= self._after:
            return result
        if self._error is not None:
            raise self._error
        if self._stall_s and self._after < self.calls <= self._after + self._stalls:
            time.sleep(self._stall_s)
        if self._nan:
            broken = {name: np.full_like(values, np.nan) for name, values in result.actions.items()}
            return PolicyResult(result.unified, broken)
        if self._zero:
            zeros = {name: np.zeros_like(values) for name, values in result.actions.items()}
            return PolicyResult(self._policy.encode_actions(zeros), zeros)
        return result
