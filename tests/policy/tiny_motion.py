"""The motion that the tiny policy predicts: each row follows from the row before it, slowly, around a centre.

Two joints turn around the centre together, all others decay towards it. Because a row depends on the row before it
alone, a run of many chunks is one smooth motion, whatever the latency was, and a test can say what it must be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

TURN = 1.0
"""Angular rate of the two turning joints, [rad/s]."""

DECAY = 0.5
"""Rate at which all others approach the centre, [1/s]."""

OFFSET = 0.2
"""Distance of the centre from the rest pose for the first turning joint, [rad]: the radius for a start at rest."""


@dataclass(frozen=True)
class TinyMotion:
    """A linear motion in the unified slots of one robot, in physical units.

    Attributes:
        slots: Unified slots in use, shape (n,).
        centre: What the motion goes around, shape (n,).
        lower, upper: Bounds of the predicted rows, shape (n,).
        step: From one row's offset from the centre to the next row's, shape (n, n): next = offset @ step.
    """

    slots: NDArray[np.int64]
    centre: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    step: NDArray[np.float64]

    @classmethod
    def of(cls, spec: EmbodimentSpec, action_hz: int) -> TinyMotion:
        """The motion of a robot, at `action_hz` rows a second."""
        slots = np.concatenate([np.arange(*group.slots) for group in spec.groups.values()])
        poses = np.stack([spec.limits.lower, spec.limits.upper, spec.rest])
        lower, upper, centre = _values(spec, poses)
        step = np.eye(len(slots)) * np.exp(-DECAY / action_hz)
        turning = [i for i, slot in enumerate(slots) if slot in _radian_slots(spec)]
        if len(turning) >= 2:
            a, b = turning[0], turning[-1]
            centre[a] += OFFSET
            cosine, sine = np.cos(TURN / action_hz), np.sin(TURN / action_hz)
            step[np.ix_([a, b], [a, b])] = [[cosine, sine], [-sine, cosine]]
        margin = 0.02 * (upper - lower)
        return cls(slots, np.clip(centre, lower + margin, upper - margin), lower, upper, step)

    def after(self, offset: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
        """The rows that follow a row, as offsets from the centre, shape (rows, n)."""
        return np.stack([offset @ np.linalg.matrix_power(self.step, i + 1) for i in range(rows)])


def _values(spec: EmbodimentSpec, poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joint positions (m, n) [rad] as the slots hold them, in command order."""
    lower, upper = spec.limits.lower, spec.limits.upper
    units = [group.unit for group in spec.groups.values() for _ in group.joints]
    return np.where(np.array(units) == "open_fraction", (poses - lower) / (upper - lower), poses)


def _radian_slots(spec: EmbodimentSpec) -> set[int]:
    return {slot for group in spec.groups.values() if group.unit == "rad" for slot in range(*group.slots)}
