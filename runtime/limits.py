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
        jerk: Largest jerk, shape (n,), [rad/s^3]; infinite where it is not limited.
        braking: Deceleration that a joint stops with before its ends, shape (n,), at most `acceleration`, [rad/s^2].
            Where jerk is limited, the less it is, the earlier and the more gently a joint slows down there.
    """

    names: tuple[str, ...]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    velocity: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    jerk: NDArray[np.float64]
    braking: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        lower: Sequence[float],
        upper: Sequence[float],
        velocity: Sequence[float],
        acceleration: Sequence[float],
        jerk: Sequence[float] | None = None,
        braking: Sequence[float] | None = None,
    ) -> JointLimits:
        """Build limits from plain sequences, all of the same length; without jerk it is unlimited."""
        if jerk is None:
            jerk = [np.inf] * len(names)
        if braking is None:
            braking = acceleration
        sequences = (lower, upper, velocity, acceleration, jerk, braking)
        arrays = [np.array(values, dtype=np.float64) for values in sequences]
        for array in arrays:
            array.setflags(write=False)
        return cls(tuple(names), *arrays)

    @property
    def stopping_s(self) -> float:
        """How long the slowest joint takes from its velocity limit, accelerating, to rest, [s]: V / A + 2 A / J."""
        turning = np.where(np.isinf(self.jerk), 0.0, 2.0 * self.acceleration / self.jerk)
        return float(np.max(self.velocity / self.acceleration + turning))

    @property
    def size(self) -> int:
        """Number of joints n."""
        return len(self.names)
