"""From rows at the action rate to commands at the robot's rate.

Inside tick k the command follows the uniform quadratic B-spline of rows k-2, k-1 and k (de Boor, A Practical Guide to
Splines, 1978). It needs no row of the future, its velocity is continuous across rows and seams, and it never leaves
the convex hull of its three rows, so limits that hold for the rows hold for the command. The price is a lag of half a
tick against straight lines between rows, and rows are approached, not passed through; a row that repeats is reached
exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits


def weights(phase: float) -> tuple[float, float, float]:
    """Weights of rows k-2, k-1 and k at a point inside tick k.

    Args:
        phase: 0 at the start of the tick, 1 at its end.

    Returns:
        Three non-negative weights that sum to 1.
    """
    rest = 1.0 - phase
    return 0.5 * rest * rest, 0.5 + phase * rest, 0.5 * phase * phase


def smoothing_steps(limits: JointLimits, command_hz: int) -> int:
    """Control steps that a moving average must span to turn jumps of acceleration into the jerk allowed.

    Args:
        limits: The joints' limits; the slowest in jerk decides, so that all joints lag alike.
        command_hz: Control steps a second.

    Returns:
        The smallest m with m / command_hz >= 2 A / J for all joints, at least 1: 1 where jerk is not limited.
    """
    return max(1, math.ceil(float(np.max(2.0 * limits.acceleration / limits.jerk)) * command_hz - 1e-9))


class MovingAverage:
    """The mean of the last m targets, which stays in their convex hull. The price is a lag of (m - 1) / 2 steps.

    The mean is computed anew from all m every time, so rounding never accumulates, and as the newest target plus
    the mean of the differences from it, so m equal targets are their mean bit by bit.

    Args:
        steps: m >= 1.
        start: What all targets before the first are taken to have been, shape (n,), [rad].
    """

    def __init__(self, steps: int, start: NDArray[np.float64]) -> None:
        self._window: NDArray[np.float64] = np.tile(start, (steps, 1))
        self._differences: NDArray[np.float64] = np.zeros_like(self._window)
        self._mean: NDArray[np.float64] = np.zeros(len(start))
        self._next = 0

    @property
    def steps(self) -> int:
        """The number of targets that count, m."""
        return len(self._window)

    def smooth(self, target: NDArray[np.float64]) -> None:
        """Replace a target, shape (n,), [rad], by the mean of the last m, itself among them."""
        if self.steps == 1:
            return
        self._window[self._next] = target
        self._next = (self._next + 1) % self.steps
        np.subtract(self._window, target, out=self._differences)
        np.add.reduce(self._differences, axis=0, out=self._mean)
        self._mean /= self.steps
        target += self._mean
