"""Targets of inverse kinematics, as they arrive: checked, and with exact rotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.rotation import nearest_rotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.goals import FrameGoal

ROUNDED: Final = 1e-12
"""Largest entry of R^T R - 1 that is left alone: rounding of double precision."""

MISSHAPEN: Final = 1e-2
"""Largest entry of R^T R - 1 that is put right: rounding of single or half precision; beyond it R is no rotation."""

FAR: Final = 10.0
"""Largest coordinate of a target, [m]: beyond it is no target of a robot that stands still; millimetres, perhaps."""


def clean_targets(
    targets: NDArray[np.float64], goals: Sequence[FrameGoal]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Targets that can be aimed at, and which ones those are.

    Args:
        targets: Shape (T, F, 4, 4), [m].
        goals: The F goals: what of each target counts.

    Returns:
        Poses with rotations that are orthonormal to double precision, shape (T, F, 4, 4), the identity wherever
        something does not count or is not valid; and whether each target is valid, shape (T, F): no coordinate beyond
        `FAR` where the position counts, a proper rotation where that counts.
    """
    clean = np.broadcast_to(np.eye(4), targets.shape).copy()
    valid = np.ones(targets.shape[:2], dtype=np.bool_)
    for place, goal in enumerate(goals):
        good = valid[:, place]
        if goal.has_position:
            good &= (np.abs(targets[:, place, :3, 3]) <= FAR).all(axis=-1)
            clean[good, place, :3, 3] = targets[good, place, :3, 3]
        if goal.has_orientation:
            rotations = targets[:, place, :3, :3].copy()
            _set_right(rotations, good)
            clean[good, place, :3, :3] = rotations[good]
            clean[~good, place, :3, 3] = 0.0
    return clean, valid


def _set_right(rotations: NDArray[np.float64], valid: NDArray[np.bool_]) -> None:
    """Make nearly rotations, shape (T, 3, 3), rotations in place, and mark those as not valid that are far from it."""
    valid &= (np.abs(rotations) < 2.0).all(axis=(1, 2))
    rotations[~valid] = np.eye(3)
    skew = np.abs(np.swapaxes(rotations, 1, 2) @ rotations - np.eye(3)).max(axis=(1, 2))
    valid &= (skew <= MISSHAPEN) & (np.linalg.det(rotations) > 0.0)
    inexact = valid & (skew > ROUNDED)
    if inexact.any():
        rotations[inexact] = nearest_rotation(rotations[inexact])
