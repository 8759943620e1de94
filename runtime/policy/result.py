"""What a policy answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PolicyResult:
    """One chunk.

    Attributes:
        unified: Rows in the unified space, normalized, shape (T, 200), float32; what locking and stitching work on.
        actions: `action.<key>` -> physical values, shape (T, width), float32.
        gates: g of each refinement round and Euler step, shape (N, K), float32, in 0 ... 1; None without
            refinement.
        discrepancies: D that the gates came from, g = exp(-D / temperature), shape (N, K), float32; None without
            refinement.
        cold: Whether it took longer than the next one will, for a reason that is over: a connection made anew. Such a
            latency says nothing of the delay to come.
        text: What the policy wrote before it acted, in the same answer; None where it wrote nothing.
    """

    unified: NDArray[np.float32]
    actions: Mapping[str, NDArray[np.float32]]
    gates: NDArray[np.float32] | None = None
    discrepancies: NDArray[np.float32] | None = None
    cold: bool = False
    text: str | None = None
