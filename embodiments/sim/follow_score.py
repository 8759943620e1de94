"""How well the tool followed the block that was named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS, CLEARANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.sim.follow_target import FollowTarget

NEAR: Final = CLEARANCE / 2
"""On target is who is within this distance of the hover point, [m]: half of what is always between the blocks, so that
nobody is on target for both, and whoever follows the wrong block never is for the right one."""

APPROACH_S: Final = 2.0
"""After an instruction there is this much time to get there before it counts, [s]: with joints at half their speed the
expert crosses the whole region in little more than a second."""

SUCCESS_SHARE: Final = 0.6
"""A run succeeds that is on target for at least this share of the time that counts. The expert is for all of it; the
rest pose, which blocks pass by, for an eighth on average and less than half on each of 24 paths. The bar lies between:
whoever shares the time between the two blocks fails, and a view that is hidden now and then does not decide it."""


@dataclass(frozen=True)
class FollowScore:
    """How a run went; all times count for the mean errors.

    Attributes:
        error: Mean distance between the tool and the hover point of the block that was named, [m].
        other_error: The same for the other block, [m].
        on_target: Share of the time after each approach within `NEAR` of the named block's hover point.
    """

    error: float
    other_error: float
    on_target: float

    @property
    def success(self) -> bool:
        """Whether the run was on target for long enough."""
        return self.on_target >= SUCCESS_SHARE


def follow_score(
    task: FollowTarget,
    named: NDArray[np.int64],
    action_hz: int,
    times: NDArray[np.float64],
    reached: NDArray[np.float64],
) -> FollowScore:
    """Score a run.

    Args:
        task: Whose blocks.
        named: Which block the instruction named in each tick, index into `BLOCKS`, shape (ticks,).
        action_hz: Ticks a second.
        times: Simulated times of evenly spaced samples, the same number in each tick, shape (S,), [s].
        reached: Joint positions there, shape (S, n), [rad].
    """
    ticks = np.arange(len(named))
    since = ticks - np.maximum.accumulate(np.where(np.diff(named, prepend=-1) != 0, ticks, 0))
    samples = len(times) // len(named)
    counts = np.repeat(since >= APPROACH_S * action_hz, samples)
    index = np.repeat(named, samples)
    tool = task.solver.position(reached)
    errors = np.stack([np.linalg.norm(tool - task.hover_point(block, times), axis=-1) for block in BLOCKS])
    error, other = (errors[which, np.arange(len(times))] for which in (index, 1 - index))
    return FollowScore(
        error=float(error.mean()),
        other_error=float(other.mean()),
        on_target=float((error[counts] <= NEAR).mean()) if counts.any() else 0.0,
    )
