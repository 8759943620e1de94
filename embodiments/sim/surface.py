"""Smooth interpolation on a regular grid of the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Surface:
    """Cubic convolution (Keys 1981, a = -1/2) along both axes: passes through its values, continuously differentiable.

    Args:
        xs, ys: Evenly spaced coordinates, shapes (X,) and (Y,), four or more.
        values: Shape (X, Y, n).
    """

    def __init__(self, xs: NDArray[np.float64], ys: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        self._low = np.array([xs[0], ys[0]])
        self._step = np.array([xs[1] - xs[0], ys[1] - ys[0]])
        self._values = values

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at points of shape (..., 2), shape (..., n); points beyond the outermost cells are moved onto them."""
        counts = np.array(self._values.shape[:2])
        place = np.clip((np.asarray(points) - self._low) / self._step, 1.0, counts - 2.0)
        cell = np.minimum(place.astype(np.int64), counts - 3)
        along_x, along_y = _weights(place[..., 0] - cell[..., 0]), _weights(place[..., 1] - cell[..., 1])
        result = np.zeros((*place.shape[:-1], self._values.shape[-1]))
        for i in range(4):
            for j in range(4):
                corner = self._values[cell[..., 0] + i - 1, cell[..., 1] + j - 1]
                result += (along_x[i] * along_y[j])[..., None] * corner
        return result


def _weights(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Shares of the values at -1, 0, 1 and 2 for places t between 0 and 1."""
    return (
        0.5 * t * (-1.0 + t * (2.0 - t)),
        0.5 * (2.0 + t * t * (-5.0 + 3.0 * t)),
        0.5 * t * (1.0 + t * (4.0 - 3.0 * t)),
        0.5 * t * t * (t - 1.0),
    )
