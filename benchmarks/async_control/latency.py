"""How long inferences take, in ticks, and how many rows are committed for them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.delay import DelayEstimator

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN: Final = 1
"""Tick that the runtime commits on top."""
SPREAD: Final = 0.4
"""Standard deviation of the logarithm of sampled latencies."""
MEASURED: Final = 50
"""Latencies that the estimator knows before an episode, as after the runtime's warm-up."""


class DelayKind(enum.Enum):
    """What is known of the delay."""

    FIXED = "fixed"
    """Every inference takes d ticks, and d are committed."""
    SAMPLED = "sampled"
    """Latencies are drawn; the runtime's estimator commits."""
    UNDERESTIMATED = "underestimated"
    """Every inference takes d ticks, and d - 1 are committed: every chunk is a tick late."""


class FixedDelay(DelayEstimator):
    """Commits the same number of ticks for ever.

    Args:
        action_hz: Ticks a second.
        ticks: How many.
    """

    def __init__(self, action_hz: int, ticks: int) -> None:
        super().__init__(action_hz, MARGIN)
        self._ticks = ticks

    def delay(self, age_s: float = 0.0) -> int:
        """Always the same."""
        del age_s
        return self._ticks


@dataclass(frozen=True)
class Latency:
    """Latencies of one column of the table.

    Attributes:
        kind: What is known of the delay.
        ticks: d; where latencies are drawn, the largest d that can be committed.
    """

    kind: DelayKind
    ticks: int

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Latencies of `count` inferences, [ticks]; drawn ones leave room for the runtime's margin."""
        if self.kind is not DelayKind.SAMPLED:
            return np.full(count, self.ticks, np.int64)
        longest = max(1, self.ticks - MARGIN)
        drawn = np.ceil(random.lognormal(np.log(0.35 * longest + 0.3), SPREAD, count))
        return np.clip(drawn, 1, longest).astype(np.int64)

    def estimator(self, action_hz: int, random: np.random.Generator) -> DelayEstimator:
        """What commits: a fixed number of ticks, or the runtime's estimator after its warm-up."""
        if self.kind is not DelayKind.SAMPLED:
            late = self.kind is DelayKind.UNDERESTIMATED
            return FixedDelay(action_hz, self.ticks - late)
        estimator = DelayEstimator(action_hz, MARGIN)
        for ticks in self.draw(random, MEASURED):
            estimator.observe(0.0, float(ticks) / action_hz)
        return estimator
