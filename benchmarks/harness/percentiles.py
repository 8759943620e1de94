"""Percentiles of many samples, as far as there are enough of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.document import not_measured

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}
BEYOND: Final = 5
"""So many samples must lie beyond a quantile; with fewer it is one bad moment of the machine."""


def percentiles(values: ArrayLike) -> dict[str, Any]:
    """Count, p50, p95, p99, p99.9 and the largest.

    A quantile that fewer than five samples lie beyond is not measured.

    Args:
        values: Samples, shape (N,), in any unit.
    """
    samples = np.asarray(values, float).ravel()
    result: dict[str, Any] = {"n": len(samples)}
    for name, quantile in QUANTILES.items():
        needed = round(BEYOND / (1.0 - quantile))
        if len(samples) < needed:
            result[name] = not_measured(f"{len(samples)} samples; it takes {needed}")
        else:
            result[name] = float(np.quantile(samples, quantile))
    result["max"] = float(samples.max()) if len(samples) else not_measured("no samples")
    return result
