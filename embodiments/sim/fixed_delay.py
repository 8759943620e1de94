"""A delay that is given and not measured."""

from __future__ import annotations

from unichunk.runtime.delay import DelayEstimator


class FixedDelay(DelayEstimator):
    """Commits the same number of ticks for every inference, however long one takes.

    Args:
        delay: d, [ticks].
    """

    def __init__(self, delay: int) -> None:
        super().__init__(action_hz=1, margin=1)
        self._given = delay

    def delay(self, age_s: float = 0.0) -> int:  # noqa: ARG002  part of the estimator
        """D, [ticks]."""
        return self._given
