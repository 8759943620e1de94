"""Inferences while the robot stands still: warm-up, latency, and where the run would begin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import PolicyError, PolicyLate
from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.thinker import Thinker, ThoughtEnd
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy
    from unichunk.runtime.delay import DelayEstimator
    from unichunk.runtime.inference_thread import ObservationSource
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.thinker import Thought
    from unichunk.runtime.thought_telemetry import ThoughtTelemetry

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
        outage_s: How long the answers of a policy somewhere else may be missing, [s].
        thinker: Thoughts of the policy; None for one that does not think.
    """

    def __init__(
        self,
        source: ObservationSource,
        policy: ChunkPolicy,
        adapter: Adapter,
        instruction: str,
        *,
        outage_s: float = 0.0,
        thinker: Thinker | None = None,
    ) -> None:
        self._source = source
        self._policy = policy
        self._adapter = adapter
        self._instruction = instruction
        self._outage_s = outage_s
        self._thinker = thinker or Thinker(None)

    def think(self, thoughts: ThoughtTelemetry, pause: Callable[[], None], *, warm: bool = False) -> None:
        """Think until there is a text to act on: a first time to get warm, then again, measuring the slices.

        What was thought before is forgotten: much may have happened to what the robot sees. A thought that does not end
        within its limit is given up; the policy then acts on the instruction.

        Args:
            thoughts: Takes them down.
            pause: Called between slices; may raise.
            warm: Whether the policy has thought before, so that once is enough.

        Raises:
            PolicyError: The policy cannot think.
        """
        if not self._thinker.thinks:
            return
        self._thinker.forget()
        thoughts.forget()
        last_stamp_ns = -1
        for measured in (True,) if warm else (False, True):
            observation = self._next(last_stamp_ns, pause)
            last_stamp_ns = observation.stamp_ns
            thought = self._thought(observation, pause, measured=measured)
            thoughts.add(thought)
            if thought.end is ThoughtEnd.FAILED:
                raise PolicyError(f"the policy cannot think: {thought.text}")

    def warm_up(self, estimator: DelayEstimator, pause: Callable[[], None]) -> None:
        """Run the policy on live observations until it is warm, then measure its latency.

        Args:
            estimator: Takes in the warm latencies.
            pause: Called in between; may raise.
        """
        last_stamp_ns = -1
        deadline: float | None = None
        inferences = 0
        while inferences < COLD_INFERENCES + WARM_INFERENCES:
            observation = self._next(last_stamp_ns, pause)
            last_stamp_ns = observation.stamp_ns
            begun_ns = time.monotonic_ns()
            try:
                cold = self._infer(observation)[1]
            except PolicyLate as late:
                deadline = self._patience(deadline, late)
                continue
            deadline = None
            inferences += 1
            if inferences > COLD_INFERENCES and not cold:
                age_s = max(0, begun_ns - observation.stamp_ns) / 1e9
                estimator.observe(age_s, (time.monotonic_ns() - begun_ns) / 1e9)

    def __call__(self, pause: Callable[[], None] = lambda: None) -> NDArray[np.float64]:
        """First row as joints, shape (n,), [rad].

        Args:
            pause: Called between two tries; may raise.

        Raises:
            PolicyError: Where it is not finite, or there was no answer for as long as an outage may be.
        """
        deadline: float | None = None
        while True:
            try:
                return self._infer(self._newest())[0]
            except PolicyLate as late:
                deadline = self._patience(deadline, late)
                pause()

    def _thought(self, observation: Observation, pause: Callable[[], None], *, measured: bool) -> Thought:
        def inputs() -> dict[str, Any]:
            return self._adapter.policy_input(observation, self._instruction)

        while (thought := self._thinker.think(inputs, time.monotonic_ns, measured=measured)) is None:
            pause()
        return thought

    def _patience(self, deadline: float | None, late: PolicyLate) -> float:
        """When the outage that this is a part of will have lasted too long, [s].

        Args:
            deadline: The same as of its first part, [s]; None for the first.
            late: Raised where it has.
        """
        now = time.monotonic()
        if deadline is None:
            deadline = now + self._outage_s
        if now >= deadline:
            raise late
        return deadline

    def _infer(self, observation: Observation) -> tuple[NDArray[np.float64], bool]:
        """The first row, and whether the answer was a cold one."""
        inputs = self._thinker.told(self._adapter.policy_input(observation, self._instruction))
        chunk = self._policy.infer(inputs)
        row: NDArray[np.float64] = self._adapter.joints(chunk.actions, observation.state.q)[0]
        if not np.isfinite(row).all():
            raise PolicyError(f"the policy's first row is {row.tolist()}; expected finite joint commands")
        return row, chunk.cold

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
