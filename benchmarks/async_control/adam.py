"""Adam (Kingma and Ba 2015) with a cosine schedule, and the moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.async_control.network import Network

if TYPE_CHECKING:
    from unichunk.benchmarks.async_control.network import Array

FIRST: Final = 0.9
SECOND: Final = 0.99
WARM_UP: Final = 100
"""Steps over which the learning rate rises."""


class Adam:
    """Changes parameters in place.

    Args:
        parameters: Weights, then biases, of a network.
        rate: Peak learning rate.
        steps: How many there will be.
        memory: Of the moving average.
    """

    def __init__(self, parameters: list[Array], rate: float, steps: int, memory: float) -> None:
        self._parameters = parameters
        self._rate = rate
        self._steps = steps
        self._memory = memory
        self._average = [values.copy() for values in parameters]
        self._mean = [np.zeros_like(values) for values in parameters]
        self._square = [np.zeros_like(values) for values in parameters]
        self._step = 0

    def step(self, gradients: list[Array]) -> None:
        """One step down."""
        self._step += 1
        rate = self._rate * min(1.0, self._step / WARM_UP) * 0.5 * (1.0 + np.cos(np.pi * self._step / self._steps))
        scale = np.float32(rate / (1.0 - FIRST**self._step))
        correction = np.float32(1.0 / np.sqrt(1.0 - SECOND**self._step))
        keep = np.float32(min(self._memory, self._step / (self._step + 10.0)))
        groups = zip(self._parameters, gradients, self._mean, self._square, self._average, strict=True)
        for values, gradient, mean, square, average in groups:
            _towards(mean, gradient, np.float32(1.0 - FIRST))
            _towards(square, gradient * gradient, np.float32(1.0 - SECOND))
            np.subtract(values, scale * mean / (np.sqrt(square) * correction + np.float32(1e-8)), out=values)
            _towards(average, values, 1.0 - keep)

    def averaged(self) -> Network:
        """A network with the moving average of the weights."""
        half = len(self._average) // 2
        copies = [values.copy() for values in self._average]
        return Network(copies[:half], copies[half:])


def _towards(values: Array, target: Array, share: np.float32) -> None:
    """Move values, in place, a share of the way."""
    np.add(values, share * (target - values), out=values)
