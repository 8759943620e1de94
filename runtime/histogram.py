"""A histogram of times that costs one addition per sample and never grows."""

from __future__ import annotations

import numpy as np


class TimeHistogram:
    """Counts times in bins of equal width; the largest sample is kept exactly.

    Args:
        width_us: Width of a bin, [us].
        bins: Number of bins; longer times share the last one.
    """

    def __init__(self, width_us: int = 1, bins: int = 200_000) -> None:
        self._counts = np.zeros(bins, np.int64)
        self._width_us = width_us
        self._last = bins - 1
        self._largest = 0

    def add(self, nanoseconds: int) -> None:
        """Count one sample; negative ones count as zero."""
        bin_ = max(0, nanoseconds // (1000 * self._width_us))
        self._counts[min(bin_, self._last)] += 1
        self._largest = max(self._largest, nanoseconds)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self._counts.sum())

    def percentile(self, fraction: float) -> float:
        """Smallest time that at least `fraction` of the samples do not exceed, [us]; 0 without samples."""
        total = self.samples
        if total == 0:
            return 0.0
        bin_ = int(np.searchsorted(np.cumsum(self._counts), fraction * total))
        return self.maximum if bin_ >= self._last else float(bin_ * self._width_us)

    @property
    def maximum(self) -> float:
        """Largest sample, [us]."""
        return self._largest / 1000
