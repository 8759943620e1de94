"""A policy that acts on what it is told, and a reasoner that takes its time; both write down what happens."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.run.faulty_policy import FaultyPolicy
from unichunk.runtime.errors import PolicyError
from unichunk.runtime.reasoning import THOUGHT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy import Policy, PolicyResult


class ListeningPolicy(FaultyPolicy):
    """Notes which text every chunk was made for.

    Args:
        policy: What answers.
        writes: Text that every chunk comes with; None for none.
    """

    def __init__(self, policy: Policy, writes: str | None = None) -> None:
        super().__init__(policy, after=1 << 30)
        self._writes = writes
        self.told: list[str | None] = []

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[Any] | None = None, delay: int = 0
    ) -> PolicyResult:
        self.told.append(observation.get(THOUGHT_KEY))
        return replace(super().infer(observation, previous_chunk, delay), text=self._writes)


class SlowReasoner:
    """Writes `thought <n>`, n from 0, in a number of steps.

    Args:
        steps: Of a thought; None for one that never ends.
        step_s: Time of a step, [s].
        most_steps: Of a thought.
        look: Called at every begin.
        fails: From which thought on it fails.

    Attributes:
        stops: Whether a thought ends at all.
    """

    def __init__(
        self,
        steps: int | None = 3,
        *,
        step_s: float = 0.002,
        most_steps: int = 10,
        look: Callable[[], None] = lambda: None,
        fails: int = 1 << 30,
    ) -> None:
        self.most_steps = most_steps
        self.begun = 0
        self.stops = True
        self._steps = steps
        self._step_s = step_s
        self._look = look
        self._fails = fails
        self._taken = 0

    def begin(self, observation: Mapping[str, Any]) -> None:
        assert observation["language.instruction"] == "go"
        self._look()
        self.begun += 1
        self._taken = 0

    def step(self) -> str | None:
        if self.begun > self._fails:
            raise PolicyError("the head is empty")
        time.sleep(self._step_s)
        self._taken += 1
        return f"thought {self.begun - 1}" if self.stops and self._taken == self._steps else None
