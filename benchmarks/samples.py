"""Times of many repetitions, and their percentiles."""

from __future__ import annotations

import numpy as np


class Samples:
    """Collects times by name, [ns]."""

    def __init__(self) -> None:
        self._times: dict[str, list[int]] = {}

    def add(self, name: str, nanoseconds: int) -> None:
        """Keep one time."""
        self._times.setdefault(name, []).append(nanoseconds)

    def extend(self, other: Samples) -> None:
        """Keep all of another's times, too."""
        for name, times in other._times.items():
            self._times.setdefault(name, []).extend(times)

    def median(self, name: str) -> float:
        """The median of the times of one name, [ns]."""
        return float(np.median(self._times[name]))

    def summary(self) -> dict[str, dict[str, float]]:
        """Count and p50, p99, max in microseconds, by name."""
        result = {}
        for name, times in self._times.items():
            p50, p99, largest = np.percentile(times, [50, 99, 100]) / 1000
            result[name] = {"n": len(times), "p50": float(p50), "p99": float(p99), "max": float(largest)}
        return result
