"""Between joint positions and the normalized values that a policy is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.adapter import JointAdapter
from unichunk.runtime.policy.manifest import Key, MeanStd

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
        # The bundle's numbers are read back from a file: train on exactly those.
        self._mean, self._std = self._mean.round(6), self._std.round(6)
        self.keys = self._keys(spec)

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

    def encode_steps(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Differences of joint positions (n,) [rad] to differences of normalized values (n,)."""
        ends = self._physical(np.stack([np.zeros_like(steps), steps]))
        result: NDArray[np.float64] = (ends[1] - ends[0]) / self._std
        return result

    def _physical(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        actions = self._adapter.actions(joints)
        return np.concatenate([actions[f"action.{name}"] for name in self._groups], axis=1)

    def _keys(self, spec: EmbodimentSpec) -> dict[str, Key]:
        keys, start = {}, 0
        for name, width in self._groups.items():
            mean, std = self._mean[start : start + width].tolist(), self._std[start : start + width].tolist()
            keys[name] = Key(slots=spec.groups[name].slots, normalization=MeanStd(mean=tuple(mean), std=tuple(std)))
            start += width
        return keys
