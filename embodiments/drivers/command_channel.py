"""The way of commands to a simulated robot's servos, which may take time and lose some."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CommandChannel:
    """Knows no clock: periods pass when `receive` is called.

    Args:
        delay: Periods on the way.
        loss: Probability that a command is lost.
        seed: Which ones are lost is drawn from it.
    """

    def __init__(self, delay: int, loss: float, seed: int) -> None:
        self._delay = delay
        self._loss = loss
        self._random = np.random.default_rng([seed, 0x1055])
        self._period = 0
        self._on_the_way: deque[tuple[int, NDArray[np.float64]]] = deque()

    def send(self, q: NDArray[np.float64]) -> None:
        """Send a command in the current period."""
        if self._loss and self._random.random() < self._loss:
            return
        self._on_the_way.append((self._period + self._delay, q))

    def receive(self) -> NDArray[np.float64] | None:
        """The newest command that has arrived by the current period, None where none has; the next period begins."""
        newest = None
        while self._on_the_way and self._on_the_way[0][0] <= self._period:
            newest = self._on_the_way.popleft()[1]
        self._period += 1
        return newest

    def clear(self) -> None:
        """Lose everything that is on the way."""
        self._on_the_way.clear()
