"""What depends on positions and times alone: rotary tables, resized position grids, sinusoids of the flow time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def rotary_tables(positions: ArrayLike, width: int, theta: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines of rotary position embeddings in the half-rotation layout, each (n, width).

    Args:
        positions: n whole numbers.
        width: Of a head.
        theta: Base of the frequencies.
    """
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies = (1.0 / np.power(float(theta), exponents, dtype=np.float64)).astype(np.float32)
    # The published code rounds the angles to float32; the functions of the rounded angles are exact here.
    angles = (np.asarray(positions, np.float32)[:, None] * frequencies).astype(np.float64)
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def time_sinusoids(buckets: ArrayLike, width: int) -> NDArray[np.float32]:
    """[sin, cos] of bucket x exp(-ln(10000) i / (width / 2)), (n, width).

    In float32 step by step as published: at bucket 1000 the rounding of a frequency shows.
    """
    half = width // 2
    exponents = -np.arange(half, dtype=np.float32) * (np.log(np.float32(10000.0)) / np.float32(half))
    angles = (np.asarray(buckets, np.float32)[:, None] * np.exp(exponents)).astype(np.float64)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def resized_grid(positions: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Learned positions for another grid: the class token's as it is, the others bicubically resampled.

    Cubic convolution with a = -0.75, aligned pixel areas, repeated edges, no antialiasing: torch's
    `interpolate(mode="bicubic", align_corners=False)`.

    Args:
        positions: (1 + n * n, width), class token first, then the grid row by row.
        side: Of the wanted grid.

    Returns:
        (1 + side * side, width).
    """
    old = round((len(positions) - 1) ** 0.5)
    if old == side:
        return positions.astype(np.float32)
    weights = _cubic_weights(old, side)
    grid = positions[1:].astype(np.float64).reshape(old, old, -1)
    resized = np.einsum("ir,jc,rcd->ijd", weights, weights, grid, optimize=True)
    return np.concatenate([positions[:1].astype(np.float64), resized.reshape(side * side, -1)]).astype(np.float32)


def _cubic_weights(old: int, new: int) -> NDArray[np.float64]:
    """What each old pixel gives to each new one, (new, old)."""
    source = (np.arange(new) + 0.5) * (old / new) - 0.5
    taps = np.floor(source).astype(int)[:, None] + np.arange(-1, 3)
    distance = np.abs(source[:, None] - taps)
    a = -0.75
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    weights = np.zeros((new, old))
    np.add.at(weights, (np.arange(new)[:, None], np.clip(taps, 0, old - 1)), np.where(distance <= 1, near, far))
    return weights
