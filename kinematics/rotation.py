"""Rotation matrices from the forms that robot models use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def from_rpy(rpy: Sequence[float]) -> NDArray[np.float64]:
    """Rotation matrix of URDF's roll, pitch, yaw (about fixed axes x, y, z in this order), shape (3, 3).

    Args:
        rpy: Angles, length 3, [rad].
    """
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def about_axis(axis: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Homogeneous rotations about one axis (Rodrigues' formula).

    Args:
        axis: Unit vector, shape (3,).
        angle: Angles, shape (...), [rad].

    Returns:
        Shape (..., 4, 4).
    """
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, versine = np.sin(angle)[..., None, None], 1.0 - np.cos(angle)[..., None, None]
    transform = np.broadcast_to(np.eye(4), (*np.shape(angle), 4, 4)).copy()
    transform[..., :3, :3] += sine * cross + versine * (cross @ cross)
    return transform
