"""How long a prefix to lock in training: drawn from what the embodiment will meet."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class DelayDistribution:
    """Embodiment-aware delay sampling.

    A latency of l seconds commits ceil(l * action_hz) + margin rows, so the same latency means few rows for a slow
    robot and many for a fast one. Latencies are taken to be log-normal. Part of the mass is spread evenly over
    0 .. max_delay: the policy must also serve hosts that are faster or slower than expected.

    Attributes:
        action_hz: Rows a second of the embodiment.
        median_latency_s: Expected time from the capture of an image to the chunk, [s].
        spread: Standard deviation of the latency's logarithm.
        margin_ticks: Rows added when a delay is committed.
        max_delay: Longest prefix, in rows.
        even_share: Share of the mass that is spread evenly.
    """

    action_hz: int
    median_latency_s: float = 0.08
    spread: float = 0.9
    margin_ticks: int = 1
    max_delay: int = 12
    even_share: float = 0.5

    def probabilities(self) -> NDArray[np.float64]:
        """Probability of each delay 0 .. max_delay, shape (max_delay + 1,)."""
        # Delay d stands for latencies in ((d - margin - 1) / hz, (d - margin) / hz]; the longest for all beyond, too.
        edges = (np.arange(self.max_delay + 2) - 1 - self.margin_ticks) / self.action_hz
        below = np.array([self._latency_below(edge) for edge in edges])
        below[-1] = 1.0
        expected = np.diff(below)
        even = np.full(self.max_delay + 1, 1.0 / (self.max_delay + 1))
        return self.even_share * even + (1.0 - self.even_share) * expected

    def sample(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Draw delays, shape (count,)."""
        return random.choice(self.max_delay + 1, size=count, p=self.probabilities())

    def _latency_below(self, latency_s: float) -> float:
        if latency_s <= 0.0:
            return 0.0
        return 0.5 * (1.0 + erf(log(latency_s / self.median_latency_s) / (self.spread * sqrt(2.0))))
