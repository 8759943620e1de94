"""Judges a trial of the demonstration by what only a simulator knows; of the policy it knows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.demo.arrangement import TARGET

if TYPE_CHECKING:
    from unichunk.embodiments.sim.twin import Truth

LIMIT_S: Final = 3.0
"""A trial lasts this long at most, in simulated time, [s]."""

STAY_S: Final = 0.8
"""How long the gripper has to stay over the block, [s]."""

STARTED: Final = 0.02
"""The arm has begun to approach once the gripper is this much nearer than at first, [m]."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Judgement:
    """What the scorer saw.

    Attributes:
        success: Whether the gripper stayed over the block.
        rubric: Whether it approached, and whether it was over the block at all.
    """

    success: bool
    rubric: tuple[bool, bool]


class ReachScorer:
    """Looks at one trial, again and again in simulated time.

    Args:
        near: Within this distance the gripper is over the block, [m].
        start: The truth when the policy begins to drive.
    """

    def __init__(self, near: float, start: Truth) -> None:
        self._near = near
        self._began = start.time
        self._first = self._nearest = start.errors[TARGET]
        self._since: float | None = None
        self._success = False
        self._over = False
        self.look(start)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._over

    def look(self, truth: Truth) -> None:
        """Take in what is true now."""
        if self._over:
            return
        error = truth.errors[TARGET]
        self._nearest = min(self._nearest, error)
        if error > self._near:
            self._since = None
        elif self._since is None:
            self._since = truth.time
        self._success = self._since is not None and truth.time - self._since >= STAY_S - _ROUNDING
        self._over = self._success or truth.time - self._began >= LIMIT_S - _ROUNDING

    def judge(self) -> Judgement:
        """What was seen so far."""
        approached = self._nearest <= max(self._near, self._first - STARTED)
        return Judgement(self._success, (approached, self._nearest <= self._near))
