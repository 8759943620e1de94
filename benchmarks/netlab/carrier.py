"""What carries packets between two namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.netlab.conditions import Conditions, Outage


class Carrier(Protocol):
    """Carries packets; driven by a loop that sleeps until a file of it can be read or it wants to be called."""

    @property
    def files(self) -> Sequence[int]:
        """Files to wait for."""
        ...

    @property
    def next_ns(self) -> int:
        """When it wants to be called without anything to read, `time.monotonic_ns()`; negative: never."""
        ...

    def step(self, readable: Sequence[int]) -> None:
        """Do what is due.

        Args:
            readable: Which of its files can be read.
        """
        ...

    def change(self, conditions: Conditions) -> None:
        """What happens to packets in both directions from now on."""
        ...

    def cut(self, outage: Outage) -> None:
        """Let nothing pass in that time; it replaces the outage before."""
        ...

    def statistics(self) -> dict[str, Any]:
        """What became of packets since the last `forget`, plain values."""
        ...

    def forget(self) -> None:
        """Count anew."""
        ...
