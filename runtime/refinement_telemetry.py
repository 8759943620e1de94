"""What the refinement rounds (MPG) did: their gates and discrepancies, over all chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RefinementTelemetry:
    """Sums by round and denoising step; nothing grows with the number of chunks."""

    def __init__(self) -> None:
        self.chunks = 0
        self._sums: NDArray[np.float64] | None = None
        self._least = 1.0
        self._most = 0.0

    def add(self, gates: NDArray[np.float32] | None, discrepancies: NDArray[np.float32] | None) -> None:
        """Write down a chunk's gates and discrepancies, both (N, K); nothing where it was not refined."""
        if gates is None or discrepancies is None:
            return
        values = np.stack([gates, discrepancies]).astype(np.float64)
        self._sums = values if self._sums is None else self._sums + values
        self.chunks += 1
        self._least = min(self._least, float(gates.min()))
        self._most = max(self._most, float(gates.max()))

    def report(self) -> dict[str, Any] | None:
        """Means by round and step, and the range of the gates; None where no chunk was refined."""
        if self._sums is None:
            return None
        gates, discrepancies = (self._sums / self.chunks).round(5).tolist()
        return {
            "chunks": self.chunks,
            "mean_gates": gates,
            "mean_discrepancies": discrepancies,
            "gate_range": [round(self._least, 5), round(self._most, 5)],
        }
