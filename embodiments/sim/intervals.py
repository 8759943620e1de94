"""How sure a mean, a rate or a difference is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Z95: Final = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a success rate (Wilson 1927); (0, 1) where nothing was tried.

    Args:
        successes: How many succeeded.
        trials: Of how many.
        z: Quantile of the normal distribution.
    """
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    scale = 1.0 / (1.0 + z * z / trials)
    middle = scale * (rate + z * z / (2 * trials))
    half = scale * z * np.sqrt(rate * (1.0 - rate) / trials + z * z / (4 * trials * trials))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error, which is infinite for a single value.

    Args:
        values: Independent values, at least one.
    """
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return float(np.mean(values)), float(error)
