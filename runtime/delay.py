"""How many ticks to commit: an upper quantile of recent latencies that grows at once and shrinks slowly."""

from __future__ import annotations

from collections import deque

from unichunk.runtime.chunking import required_delay
from unichunk.runtime.upper_quantile import upper_quantile


class DelayEstimator:
    """Turns measured latencies into the delay d.

    Two parts are watched apart, because the first is known before an inference starts: the age of the observation
    (capture, transport, waiting) and the time from there to readable rows (inference, decoding, publication). Their
    upper quantiles over a sliding window add up to the latency that is covered; the newest measurement always counts
    in full, so that d grows at once. It shrinks by one tick after `patience` chunks in a row that needed less.
    Cold starts never get here: warm up first, measure then.

    Args:
        action_hz: Ticks a second.
        margin: Ticks on top, at least 1.
        window: Measurements remembered.
        quantile: Upper quantile of the window.
        patience: Chunks that must need less before d shrinks by one.
    """

    def __init__(
        self, action_hz: int, margin: int, *, window: int = 100, quantile: float = 0.99, patience: int = 20
    ) -> None:
        if margin < 1:
            raise ValueError(f"margin: expected at least 1 tick, got {margin}")
        self._action_hz = action_hz
        self._margin = margin
        self._quantile = quantile
        self._patience = patience
        self._ages: deque[float] = deque(maxlen=window)
        self._processing: deque[float] = deque(maxlen=window)
        self._upper_age = 0.0
        self._upper_processing = 0.0
        self._delay = 0
        self._calm = 0

    def observe(self, age_s: float, processing_s: float, *, aged: bool = False) -> None:
        """Take in one chunk's latency.

        Args:
            age_s: From the observation's capture to the start of the inference, [s].
            processing_s: From there until its rows could be read, [s].
            aged: Whether the inference could have started earlier and was put off: its observation's age says nothing
                of the next one's, and is left out.
        """
        if not aged:
            self._ages.append(age_s)
            self._upper_age = upper_quantile(self._ages, self._quantile)
        self._processing.append(processing_s)
        self._upper_processing = upper_quantile(self._processing, self._quantile)
        needed = required_delay(self.latency_s(), self._action_hz, self._margin)
        self._calm = self._calm + 1 if needed < self._delay else 0
        if needed > self._delay:
            self._delay = needed
        elif self._calm >= self._patience:
            self._delay -= 1
            self._calm = 0

    @property
    def upper_age_s(self) -> float:
        """How old an observation hardly ever is when an inference starts as soon as it can, [s]."""
        return self._upper_age

    def latency_s(self, age_s: float = 0.0) -> float:
        """Latency to cover, [s], for an observation that is at least `age_s` old."""
        return max(self._upper_age, age_s) + self._upper_processing

    def delay(self, age_s: float = 0.0) -> int:
        """D for an inference that starts now on an observation of this age, [ticks]."""
        return max(self._delay, required_delay(self.latency_s(age_s), self._action_hz, self._margin))
