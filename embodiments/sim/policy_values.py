"""Between joint positions and the normalized values that a policy is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

LEAST_STD: Final = 0.12
"""Values that hardly vary are not blown up to unit variance, [rad] or as a fraction."""


class PolicyValues:
    """Between joint positions and the policy's normalized values, in command order.

    Args:
        spec: The robot.
        rows: Executed rows to take mean and standard deviation from, shape (N, n), [rad].

    Attributes:
        slots: Slot of the unified space of each value, length n.
    """

    def __init__(self, spec: EmbodimentSpec, rows: NDArray[np.float64]) -> None:
        self._groups = {name: len(group.joints) for name, group in spec.groups.items()}
        self.slots = tuple(slot for group in spec.groups.values() for slot in range(*group.slots))
        self._offset, self._scale = np.concatenate([group.slot_units for group in spec.groups.values()], axis=1)
        physical = self._physical(rows)
        self._mean, self._std = physical.mean(axis=0), np.maximum(physical.std(axis=0), LEAST_STD)
        # The checkpoint's numbers are read back from a file: train on exactly those.
        self._mean, self._std = self._mean.round(6), self._std.round(6)

    def encode(self, joints: NDArray[np.float64]) -> NDArray[np.float32]:
        """Joint positions (..., n) [rad] to normalized values (..., n)."""
        normalized: NDArray[np.float32] = ((self._physical(joints) - self._mean) / self._std).astype(np.float32)
        return normalized

    def decode(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Normalized values (..., n) to joint positions (..., n), [rad]."""
        joints: NDArray[np.float64] = (values * self._std + self._mean) * self._scale + self._offset
        return joints

    def statistics(self, rows: NDArray[np.float64]) -> dict[str, dict[str, list[float]]]:
        """Statistics of each group as a checkpoint's metadata holds them; mean and std are those that are used here.

        Args:
            rows: Executed rows, shape (N, n), [rad].
        """
        physical = self._physical(rows)
        named = {
            "min": physical.min(axis=0),
            "max": physical.max(axis=0),
            "mean": self._mean,
            "std": self._std,
            "q01": np.quantile(physical, 0.01, axis=0),
            "q99": np.quantile(physical, 0.99, axis=0),
        }
        groups, start = {}, 0
        for name, width in self._groups.items():
            groups[name] = {kind: values[start : start + width].round(6).tolist() for kind, values in named.items()}
            start += width
        return groups

    def _physical(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the adapter hands to the policy: [rad], or how far a gripper is open."""
        physical: NDArray[np.float64] = (joints - self._offset) / self._scale
        return physical
