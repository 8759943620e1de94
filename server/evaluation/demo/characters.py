"""The demonstration's policies: how often each succeeds is known, because it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Character:
    """What a scripted policy is like. All but `success` is what blinding has to hide.

    Attributes:
        number: Keeps its draws apart from the others'.
        success: Probability that it means to do the task, and then it does.
        rows: T, rows of its chunks.
        latency_s: What an inference takes at least, [s].
        complaint: How it says that something is missing in an observation.
    """

    number: int
    success: float
    rows: int
    latency_s: float
    complaint: str

    def draw(self, trial_seed: int) -> Draw:
        """What it does in a trial, from the trial's seed alone."""
        random = np.random.default_rng([abs(trial_seed), self.number])
        if random.random() < self.success:
            return Draw("reaches", 0.0)
        return Draw(FAILURES[random.integers(len(FAILURES))], float(random.uniform(0.0, 2.0 * np.pi)))


Manner = Literal["reaches", "aims beside", "gives up half-way", "stands still"]

FAILURES: Final[tuple[Manner, ...]] = ("aims beside", "gives up half-way", "stands still")


@dataclass(frozen=True)
class Draw:
    """What a policy means to do in one trial.

    Attributes:
        manner: Whether it brings the gripper to the block, or what it does instead.
        direction: In which direction it aims beside the block, [rad].
    """

    manner: Manner
    direction: float

    @property
    def succeeds(self) -> bool:
        """Whether it does the task."""
        return self.manner == "reaches"


CHARACTERS: Final[Mapping[str, Character]] = {
    "alder": Character(0, success=0.9, rows=16, latency_s=0.001, complaint="alder: no {key} in the observation"),
    "birch": Character(1, success=0.6, rows=10, latency_s=0.003, complaint="KeyError: {key!r}"),
    "cedar": Character(
        2, success=0.3, rows=24, latency_s=0.006, complaint="bad request (cedar/0.1): {key} is required"
    ),
}
"""Name in the campaign -> what it is like."""
