"""Joint limits: what a robot's joints may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class JointLimits:
    """Limits of n joints, in command order.

    Attributes:
        names: Joint names, length n.
        lower: Lower position limits, shape (n,), [rad] (or [m] for prismatic joints).
        upper: Upper position limits, shape (n,), same unit.
        velocity: Largest speed, shape (n,), [rad/s].
        acceleration: Largest acceleration, shape (n,), [rad/s^2].
    """

    names: tuple[str, ...]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    velocity: NDArray[np.float64]
    acceleration: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        lower: Sequence[float],
        upper: Sequence[float],
        velocity: Sequence[float],
        acceleration: Sequence[float],
    ) -> JointLimits:
        """Build limits from plain sequences, all of the same length."""
        arrays = [np.asarray(values, dtype=np.float64) for values in (lower, upper, velocity, acceleration)]
        for array in arrays:
            array.setflags(write=False)
        return cls(tuple(names), *arrays)

    @property
    def size(self) -> int:
        """Number of joints n."""
        return len(self.names)
