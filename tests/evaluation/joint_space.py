"""A policy's rows that are joints and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.fallback import HoldFallback

if TYPE_CHECKING:
    from numpy.typing import NDArray


class JointSpace:
    """A `RowSpace`."""

    def __init__(self, chunk_length: int, joints: int) -> None:
        self.chunk_length = self.max_delay = chunk_length
        self.width = joints
        self.fallback = HoldFallback()

    def encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        assert before.shape == joints.shape[1:]
        return joints.astype(np.float32)
