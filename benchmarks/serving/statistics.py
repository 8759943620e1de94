"""What round trips say: latencies, throughput, and whether clients were served alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Round:
    """One round of one case.

    Attributes:
        latencies_ms: Of the round trips that began while it counted, client by client, [ms].
        per_s: Round trips that ended in that time, a second.
        failures: What went wrong, a line each.
    """

    latencies_ms: list[NDArray[np.float64]]
    per_s: float
    failures: list[str]

    @property
    def all_ms(self) -> NDArray[np.float64]:
        """Of all clients."""
        return np.concatenate([*self.latencies_ms, np.empty(0)])


def round_of(trips: Sequence[Sequence[tuple[int, int]]], failures: Sequence[str], first_ns: int, end_ns: int) -> Round:
    """A round from its trips.

    Args:
        trips: (begin, end) of each client's round trips, [ns].
        failures: What went wrong.
        first_ns: When counting began, [ns].
        end_ns: When it ended, [ns].
    """
    latencies = [
        np.array([(end - begin) / 1e6 for begin, end in client if first_ns <= begin < end_ns]) for client in trips
    ]
    ended = sum(first_ns <= end < end_ns for client in trips for _, end in client)
    return Round(latencies, ended / ((end_ns - first_ns) / 1e9), list(failures))


def unfairness(rounds: Sequence[Round]) -> float | None:
    """The largest mean round trip of a client over the smallest one; None where a client has none.

    Args:
        rounds: Of the same clients, in the same order.
    """
    if not rounds or len(rounds[0].latencies_ms) < 2:
        return None
    by_client = zip(*(one.latencies_ms for one in rounds), strict=True)
    pooled = [np.concatenate(parts) for parts in by_client]
    if any(part.size == 0 for part in pooled):
        return None
    means = [float(part.mean()) for part in pooled]
    return max(means) / min(means)
