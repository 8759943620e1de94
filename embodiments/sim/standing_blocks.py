"""Blocks that stand where somebody put them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from unichunk.embodiments.sim.block_paths import Block


class StandingBlocks:
    """Takes the place of `BlockPaths`.

    Args:
        places: Of both blocks, over the table in the base, [m].
    """

    def __init__(self, places: Mapping[Block, tuple[float, float]]) -> None:
        self._places = {block: np.array(place) for block, place in places.items()}

    def position(self, block: Block, time: ArrayLike) -> NDArray[np.float64]:
        """Where a block is at any time, shape (...), [s]: in the base, shape (..., 2), [m]."""
        return np.broadcast_to(self._places[block], (*np.shape(time), 2)).copy()
