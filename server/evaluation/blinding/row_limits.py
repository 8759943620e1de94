"""The last word on every row that a robot is told: its joints' limits and speeds, whatever a policy says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits

_ROUNDING: Final = 2.0**-22
"""Share of the largest position that two rows may be off by together, once both are rounded to float32."""


@dataclass(frozen=True)
class RowLimits:
    """What may follow a row. Rows are float64 that float32 holds exactly: what is kept is what is sent.

    Attributes:
        lower: Lower position limits, shape (n,), [rad].
        upper: Upper position limits, shape (n,), [rad].
        step: Largest change of a joint from tick to tick, shape (n,), [rad].
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    step: NDArray[np.float64]

    @classmethod
    def of(cls, limits: JointLimits, action_hz: int) -> RowLimits:
        """The limits of rows that follow each other `action_hz` times a second."""
        lower, upper = limits.lower.astype(np.float32), limits.upper.astype(np.float32)
        # Rounded inwards.
        lower = np.where(lower < limits.lower, np.nextafter(lower, np.float32(np.inf)), lower)
        upper = np.where(upper > limits.upper, np.nextafter(upper, np.float32(-np.inf)), upper)
        scale = np.maximum(np.maximum(np.abs(limits.lower), np.abs(limits.upper)), 1.0)
        step = limits.velocity / action_hz - _ROUNDING * scale
        return cls(lower.astype(np.float64), upper.astype(np.float64), np.maximum(step, 0.0))

    def follow(self, before: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        """The row after `before` that comes closest to a target.

        A joint that stands outside its limits only comes back, and no faster than any other.

        Args:
            before: The row that runs before it, shape (n,), finite, [rad].
            target: Where to go, shape (n,), [rad]; what is not finite is taken for staying.

        Returns:
            Shape (n,), [rad].
        """
        wanted = np.where(np.isfinite(target), target, before)
        wanted = np.clip(wanted, np.minimum(self.lower, before), np.maximum(self.upper, before))
        wanted = np.clip(wanted, before - self.step, before + self.step)
        return wanted.astype(np.float32).astype(np.float64)

    def follow_all(self, before: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rows after `before` that follow targets, both of shape (m, n), [rad]."""
        rows = np.empty_like(targets, dtype=np.float64)
        for i, target in enumerate(targets):
            before = rows[i] = self.follow(before, target)
        return rows


def as_row(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Measured joints as a row, rounded as rows are."""
    return np.asarray(joints, np.float32).astype(np.float64)
