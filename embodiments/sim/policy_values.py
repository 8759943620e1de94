"""Between joint positions and the normalized values that a policy is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.adapter import JointAdapter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

LEAST_STD: Final = 0.12
"""Values that hardly vary are not blown up to unit variance, [rad] or as a fraction."""


class PolicyValues:
    """Between joint positions and the policy's normalized values, in the order of the spec's groups.

    Args:
        spec: The robot.
        rows: Executed rows to take mean and standard deviation from, shape (N, n), [rad].
    """

    def __init__(self, spec: EmbodimentSpec, rows: NDArray[np.float64]) -> None:
        self._adapter = JointAdapter(spec)
        self._groups = {name: len(group.joints) for name, group in spec.groups.items()}
        self.slots = tuple(slot for group in spec.groups.values() for slot in range(*group.slots))
        physical = self._physical(rows)
        self._mean, self._std = physical.mean(axis=0), np.maximum(physical.std(axis=0), LEAST_STD)
        # The checkpoint's numbers are read back from a file: train on exactly those.
        self._mean, self._std = self._mean.round(6), self._std.round(6)

    def encode(self, joints: NDArray[np.float64]) -> NDArray[np.float32]:
        """Joint positions (..., n) [rad] to normalized values (..., n)."""
        flat = joints.reshape(-1, joints.shape[-1])
        normalized = (self._physical(flat) - self._mean) / self._std
        result: NDArray[np.float32] = normalized.astype(np.float32).reshape(joints.shape)
        return result

    def decode(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Normalized values (..., n) to joint positions (..., n), [rad]."""
        physical = values.reshape(-1, values.shape[-1]) * self._std + self._mean
        cuts = np.cumsum(list(self._groups.values()))[:-1]
        parts = np.split(physical, cuts, axis=1)
        actions = {f"action.{name}": part for name, part in zip(self._groups, parts, strict=True)}
        return self._adapter.joints(actions).reshape(values.shape)

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
        actions = self._adapter.actions(joints)
        return np.concatenate([actions[f"action.{name}"] for name in self._groups], axis=1)
