"""Holm's decisions for many families at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def holm_rejects(p_values: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which hypotheses Holm's procedure rejects.

    Args:
        p_values: Shape (families, members); NaN: could not be computed, not rejected.
        alpha: Chance of any false rejection in a family.

    Returns:
        The same shape.
    """
    members = p_values.shape[-1]
    filled = np.where(np.isnan(p_values), 1.0, p_values)
    order = np.argsort(filled, axis=-1, kind="stable")
    ranked = np.take_along_axis(filled, order, axis=-1)
    passed = np.logical_and.accumulate(ranked <= alpha / np.arange(members, 0, -1), axis=-1)
    rejects = np.zeros_like(passed)
    np.put_along_axis(rejects, order, passed, axis=-1)
    return rejects
