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
    clean = targets.copy()
    clean[:, :, 3] = (0.0, 0.0, 0.0, 1.0)
    valid = np.empty(targets.shape[:2], dtype=np.bool_)
    for place, goal in enumerate(goals):
        positions, rotations = clean[:, place, :3, 3], clean[:, place, :3, :3]
        if not goal.has_position:
            positions[:] = 0.0
        valid[:, place] = np.logical_and.reduce(np.abs(positions) <= FAR, axis=1)
        if goal.has_orientation:
            valid[:, place] &= _set_right(rotations)
        else:
            rotations[:] = np.eye(3)
    if not valid.all():
        clean[~valid] = np.eye(4)
    return clean, valid


def _set_right(rotations: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Make nearly rotations, shape (T, 3, 3), rotations in place, the others the identity; returns which are some."""
    good = np.logical_and.reduce(np.abs(rotations) < 2.0, axis=(1, 2))
    if not good.all():
        rotations[~good] = np.eye(3)
    skew = np.abs(np.swapaxes(rotations, 1, 2) @ rotations - np.eye(3)).max(axis=(1, 2))
    good = good & (skew <= MISSHAPEN) & (np.linalg.det(rotations) > 0.0)
    inexact = good & (skew > ROUNDED)
    if inexact.any():
        rotations[inexact] = nearest_rotation(rotations[inexact])
    result: NDArray[np.bool_] = good
    return result
