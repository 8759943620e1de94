"""How d may move: at once upwards, slowly downwards, and never below what was promised."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.runtime.schedule import Schedule
    from unichunk.runtime.delay import DelayEstimator
    from unichunk.runtime.producer import Commitment

ROUNDING = 1e-8


class DelayChecker:
    """Feeds and watches an estimator."""

    def __init__(self, estimator: DelayEstimator, schedule: Schedule) -> None:
        self._estimator = estimator
        self._schedule = schedule
        self._window: deque[float] = deque(maxlen=schedule.window)
        self._ages: deque[float] = deque(maxlen=schedule.window)
        self._largest = (0.0, 0.0)
        self._delay = estimator.delay()
        self._since_shrinking = schedule.patience

    def needed(self, latency_s: float) -> int:
        return math.ceil(latency_s * self._schedule.action_hz - ROUNDING) + self._schedule.margin

    def observe(self, age_s: float, processing_s: float) -> None:
        self._estimator.observe(age_s, processing_s)
        self._check(age_s, processing_s)

    def after_chunk(self, commitment: Commitment, now_ns: int) -> None:
        begun_ns = commitment.begun_ns
        self._check((begun_ns - commitment.stamp_ns) / 1e9, (now_ns - begun_ns) / 1e9)

    def check_commitment(self, commitment: Commitment, promised_end: int) -> None:
        s = self._schedule
        largest = max(0, min(s.chunk_length - s.minimum_postfix, s.chunk_length // 2, s.trained_delay))
        age_s = (commitment.begun_ns - commitment.stamp_ns) / 1e9
        known = max([*self._ages, age_s]) if len(self._ages) < 2 else age_s
        wanted = max(self._delay, self.needed(known) if self._ages or age_s else s.margin)
        assert commitment.delay >= min(wanted, largest), f"d = {commitment.delay}, wanted {wanted} of at most {largest}"
        assert commitment.delay >= min(promised_end - commitment.tick, s.chunk_length), "d ends before earlier promises"
        assert commitment.delay <= max(largest, promised_end - commitment.tick)
        assert not commitment.saturated or commitment.delay >= largest

    def _check(self, age_s: float, processing_s: float) -> None:
        schedule, delay = self._schedule, self._estimator.delay()
        self._window.append(age_s + processing_s)
        self._ages.append(age_s)
        self._largest = max(self._largest[0], age_s), max(self._largest[1], processing_s)
        assert delay >= self.needed(age_s + processing_s), f"d = {delay} does not cover the newest latency"
        self._since_shrinking += 1
        if delay < self._delay:
            assert delay == self._delay - 1, f"d fell from {self._delay} to {delay}"
            assert self._since_shrinking >= schedule.patience, f"d fell again after {self._since_shrinking} chunks"
            self._since_shrinking = 0
        most = math.ceil(sum(self._largest) * schedule.action_hz) + schedule.margin
        assert delay <= max(self._delay, most), f"d = {delay}, more than any latency asks for"
        # Of each part, age and processing, at most one of up to 100 measurements lies above its 99 % quantile.
        uncovered = sum(self.needed(latency) > delay for latency in self._window)
        assert uncovered <= 2, f"d = {delay} leaves {uncovered} of the last {len(self._window)} latencies uncovered"
        self._delay = delay
