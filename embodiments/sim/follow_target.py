"""The follow task: the tool frame hovers over one of two blocks that move unpredictably on the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.block_paths import BlockPaths
from unichunk.embodiments.sim.hover import HoverSolver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.spec import EmbodimentSpec

HOVER_HEIGHT: Final = 0.09
"""Height of the tool frame over the table, [m]: 5 cm over the top of a block."""

GRIPPER_OPENING: Final = 0.5
"""How far the gripper is open while it follows, as a fraction."""


class FollowTarget:
    """Where the blocks are, where the tool should be, and with which joint positions it would be there.

    Args:
        spec: The robot.
        seed: Seed of the blocks' paths.
    """

    def __init__(self, spec: EmbodimentSpec, seed: int) -> None:
        self.paths = BlockPaths(seed)
        self.solver = HoverSolver(spec)
        self._gripper = spec.joint_index("gripper")
        limits = spec.limits
        self._opening = (limits.lower + GRIPPER_OPENING * (limits.upper - limits.lower))[self._gripper]

    def hover_point(self, block: Block, time: ArrayLike) -> NDArray[np.float64]:
        """Where the tool should be for a block, shape (..., 3), [m], for times of any shape, [s]."""
        ground = self.paths.position(block, time)
        return np.concatenate([ground, np.full((*ground.shape[:-1], 1), HOVER_HEIGHT)], axis=-1)

    def goal(self, block: Block, time: ArrayLike) -> NDArray[np.float64]:
        """Joint positions that hold the tool there, gripper half open, shape (..., n), [rad]."""
        q = self.solver.solve(self.hover_point(block, time))
        q[..., self._gripper] = self._opening
        return q
