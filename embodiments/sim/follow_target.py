"""The follow task: every hand keeps its place at one of two blocks that move unpredictably over the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.sim.block_paths import BlockPaths
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.embodiments.sim.hands import Hands

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.goal_map import GoalMap
    from unichunk.embodiments.sim.hands import Posture
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.embodiments.twin_spec import FollowTask


class FollowTarget:
    """Where the blocks are, where the hands should be, and with which joint positions they would be there.

    Args:
        spec: The robot; its twin has a task.
        seed: Seed of the blocks' paths.

    Attributes:
        task: The task's numbers.
        paths: Of the blocks.
        hands: The joints of hands and grippers, and their postures.

    Raises:
        SpecError: Where the spec has no task, or one that the robot cannot do.
    """

    def __init__(self, spec: EmbodimentSpec, seed: int) -> None:
        self.goals: GoalMap = goal_map(spec)
        """Joint positions for blocks anywhere."""
        self.task: FollowTask = self.goals.frames.task
        self.paths = BlockPaths(seed, self.task)
        self.hands = Hands(spec)

    def points(self, block: Block, time: ArrayLike) -> NDArray[np.float64]:
        """Where the hands should be for a block.

        Args:
            block: Which one.
            time: Of any shape, [s].

        Returns:
            In the base, shape (..., H, 3), [m], in the order of the task's hands.
        """
        return self.goals.frames.points(self.paths.position(block, time))

    def positions(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the hands are with joint positions (..., n), [rad]: in the base, shape (..., H, 3), [m]."""
        return self.goals.frames.positions(q)

    def errors(self, block: Block, time: ArrayLike, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance between a hand and its point, the larger one of two hands.

        Args:
            block: Which one.
            time: Shape (...), [s].
            q: Joint positions at that time, shape (..., n), [rad].

        Returns:
            Shape (...), [m].
        """
        away = self.positions(q) - self.points(block, time)
        distances: NDArray[np.float64] = np.sqrt((away**2).sum(axis=-1)).max(axis=-1)
        return distances

    def goal(self, block: Block, time: ArrayLike, posture: NDArray[np.int64] | Posture = "half") -> NDArray[np.float64]:
        """Joint positions that hold the hands there, in a posture.

        Args:
            block: Which one.
            time: Shape (...), [s].
            posture: One by name, or an index into `POSTURES` for each time.

        Returns:
            Shape (..., n), [rad].
        """
        q = self.goals.joints(self.paths.position(block, time))
        q[..., self.hands.index] = self.hands.values(posture)
        return q
