"""Inferences while the robot stands still: warm-up, latency, and where the run would begin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.errors import PolicyError
from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy
    from unichunk.runtime.delay import DelayEstimator
    from unichunk.runtime.inference_thread import ObservationSource
    from unichunk.runtime.observation import Observation

COLD_INFERENCES: Final = 3
"""First inferences, which build caches and are left out of the latency estimate."""

WARM_INFERENCES: Final = 10
"""Inferences that measure the latency before the robot moves."""

FIRST_OBSERVATION_S: Final = 5.0
"""How long a complete observation may take before the robot moves, [s]."""


class FirstRow:
    """Asks the policy for a chunk that is conditioned on nothing, and takes its first row.

    Args:
        source: Observations.
        policy: What predicts.
        adapter: Robot <-> policy keys.
        instruction: What the robot shall do.
    """

    def __init__(self, source: ObservationSource, policy: ChunkPolicy, adapter: Adapter, instruction: str) -> None:
        self._source = source
        self._policy = policy
        self._adapter = adapter
        self._instruction = instruction

    def warm_up(self, estimator: DelayEstimator, pause: Callable[[], None]) -> None:
        """Run the policy on live observations until it is warm, then measure its latency.

        Args:
            estimator: Takes in the warm latencies.
            pause: Called in between; may raise.
        """
        last_stamp_ns = -1
        for i in range(COLD_INFERENCES + WARM_INFERENCES):
            observation = self._next(last_stamp_ns, pause)
            last_stamp_ns = observation.stamp_ns
            begun_ns = time.monotonic_ns()
            self._infer(observation)
            if i >= COLD_INFERENCES:
                age_s = max(0, begun_ns - observation.stamp_ns) / 1e9
                estimator.observe(age_s, (time.monotonic_ns() - begun_ns) / 1e9)

    def __call__(self) -> NDArray[np.float64]:
        """First row as joints, shape (n,), [rad].

        Raises:
            PolicyError: Where it is not finite.
        """
        return self._infer(self._newest())

    def _infer(self, observation: Observation) -> NDArray[np.float64]:
        inputs = self._adapter.policy_input(observation, self._instruction)
        actions = self._policy.infer(inputs).actions
        row: NDArray[np.float64] = self._adapter.joints(actions, observation.state.q)[0]
        if not np.isfinite(row).all():
            raise PolicyError(f"the policy's first row is {row.tolist()}; expected finite joint commands")
        return row

    def _next(self, last_stamp_ns: int, pause: Callable[[], None]) -> Observation:
        """The next observation, as the inference thread would take it."""
        deadline = time.monotonic() + FIRST_OBSERVATION_S
        while time.monotonic() < deadline:
            pause()
            observation = self._source.newest()
            if observation is not None and observation.stamp_ns != last_stamp_ns:
                return observation
            self._source.wait(0.02)
        raise Trouble(
            ExitReason.SENSOR_FAULT,
            f"no complete new observation within {FIRST_OBSERVATION_S:g} s: does the driver deliver every camera, "
            "in the size its spec says?",
        )

    def _newest(self) -> Observation:
        observation = self._source.newest()
        if observation is None:
            raise Trouble(ExitReason.SENSOR_FAULT, "no observation", recoverable=True)
        return observation
