"""How well the hands followed the block that was named, in the posture that was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.hands import POSTURE_NEAR, POSTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.follow_target import FollowTarget
    from unichunk.embodiments.sim.instruction import Asked

APPROACH_S: Final = 2.0
"""After an instruction there is this much time to get there before it counts, [s]: with joints at half their speed the
expert crosses the whole region in little more than a second."""

SUCCESS_SHARE: Final = 0.6
"""A run succeeds that is on target for at least this share of the time that counts. The expert is for all of it; the
rest pose, which blocks pass by, for an eighth on average and less than half on each of 24 paths. The bar lies between:
whoever shares the time between the two blocks fails, and a view that is hidden now and then does not decide it."""


@dataclass(frozen=True)
class FollowScore:
    """How a run went; all times count for the mean errors, the time after each approach for the shares.

    Attributes:
        error: Mean distance between a hand and its point at the block that was named, the larger of two hands, [m].
        other_error: The same for the other block, [m].
        posture_error: Mean distance of the hands from the posture that was asked, as a fraction of the way from open to
            closed.
        near: Share of the time within the task's `near` of the named block's points. At most half of what is always
            between the blocks, so that nobody is near both.
        on_target: Share of the time near with the posture, too: its error below `POSTURE_NEAR`.
    """

    error: float
    other_error: float
    posture_error: float
    near: float
    on_target: float

    @property
    def success(self) -> bool:
        """Whether the run was on target for long enough."""
        return self.on_target >= SUCCESS_SHARE


@dataclass(frozen=True)
class Told:
    """What was asked for in each tick of a run.

    Attributes:
        block: Index into `BLOCKS`, shape (ticks,).
        posture: Index into `POSTURES`, shape (ticks,).
    """

    block: NDArray[np.int64]
    posture: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.block)

    @classmethod
    def of(cls, asked: Sequence[Asked]) -> Told:
        """What instructions ask for, one for each tick."""
        return cls(
            np.array([BLOCKS.index(one.block) for one in asked], dtype=np.int64),
            np.array([POSTURES.index(one.posture) for one in asked], dtype=np.int64),
        )

    @classmethod
    def throughout(cls, asked: Asked, ticks: int) -> Told:
        """The same in every tick."""
        return cls.of([asked] * ticks)


def follow_score(
    task: FollowTarget, told: Told, action_hz: int, times: NDArray[np.float64], reached: NDArray[np.float64]
) -> FollowScore:
    """Score a run.

    Args:
        task: Whose blocks.
        told: What the instruction asked for in each tick.
        action_hz: Ticks a second.
        times: Simulated times of evenly spaced samples, the same number in each tick, shape (S,), [s].
        reached: Joint positions there, shape (S, n), [rad].
    """
    ticks = np.arange(len(told))
    changed = (np.diff(told.block, prepend=-1) != 0) | (np.diff(told.posture, prepend=-1) != 0)
    since = ticks - np.maximum.accumulate(np.where(changed, ticks, 0))
    samples = len(times) // len(told)
    counts = np.repeat(since >= APPROACH_S * action_hz, samples)
    index, posture = np.repeat(told.block, samples), np.repeat(told.posture, samples)
    errors = np.stack([task.errors(block, times, reached) for block in BLOCKS])
    error, other = (errors[which, np.arange(len(times))] for which in (index, 1 - index))
    posture_error = task.hands.error(reached, posture)
    near = error <= task.task.near
    on_target = near & (posture_error < POSTURE_NEAR)
    return FollowScore(
        error=float(error.mean()),
        other_error=float(other.mean()),
        posture_error=float(posture_error.mean()),
        near=float(near[counts].mean()) if counts.any() else 0.0,
        on_target=float(on_target[counts].mean()) if counts.any() else 0.0,
    )
