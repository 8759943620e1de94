"""How fast a machine works: arithmetic, memory, and the time that every kernel costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PeakCurve:
    """Arithmetic of matrix products by the number of their rows: with few rows, processors reach less.

    Attributes:
        rows: Where it was measured, rising.
        rates: There, [FLOP/s].
    """

    rows: tuple[int, ...]
    rates: tuple[float, ...]

    @classmethod
    def flat(cls, rate: float) -> PeakCurve:
        """One rate for all products, as a datasheet gives it, [FLOP/s]."""
        return cls((1,), (rate,))

    def at(self, rows: float) -> float:
        """Between two measurements as a straight line in logarithms, beyond them the nearest, [FLOP/s]."""
        return float(np.exp(np.interp(np.log(max(rows, 1)), np.log(self.rows), np.log(self.rates))))


@dataclass(frozen=True)
class Rates:
    """What time is computed from.

    Attributes:
        peak: Arithmetic of matrix products.
        bandwidth: Of weights, keys, values and activations of products, [B/s].
        pointwise_bandwidth: Of everything between the products, [B/s].
        launch_s: What every kernel costs besides, [s].
        fused: Whether an engine makes one kernel of what stands between two products; else one of every node.
        cache_bytes: Activations of an operation up to this size never reach the memory.
    """

    peak: PeakCurve
    bandwidth: float
    pointwise_bandwidth: float
    launch_s: float
    fused: bool
    cache_bytes: float = 0.0
