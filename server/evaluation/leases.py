"""Since when operators have their trials, by the monotonic clock; a restart of the server changes nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.ledger.commands import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from unichunk.server.evaluation.ledger.entry import Entry


class Leases:
    """When each lease began.

    Args:
        clock: Monotonic, [s].
        lease_s: How long one lasts unless its trial is begun, [s].
    """

    def __init__(self, clock: Callable[[], float], lease_s: float) -> None:
        self._clock = clock
        self._lease_s = lease_s
        self._since: dict[str, float] = {}

    def begin(self, trial: str) -> None:
        """A trial was taken just now."""
        self._since[trial] = self._clock()

    def end(self, trial: str) -> None:
        """It was begun, or given back."""
        self._since.pop(trial, None)

    def resume(self, entries: Iterable[Entry], taken: Collection[str], boot: str) -> None:
        """Take leases up that an earlier server gave out.

        The monotonic clock of another boot of the machine says nothing here: such a lease begins anew.

        Args:
            entries: The log.
            taken: Ids of trials that are leased or armed now.
            boot: Which boot of the machine the clock counts from now.
        """
        for entry in entries:
            if isinstance(entry.command, Lease) and entry.command.trial in taken:
                now_s = self._clock()
                began_s = entry.mono_ns / 1e9
                self._since[entry.command.trial] = min(began_s, now_s) if entry.boot == boot else now_s

    def left_s(self, trial: str) -> float | None:
        """When a trial is given back, [s] from now, at least 0; None where it is not to be."""
        since_s = self._since.get(trial)
        return None if since_s is None else max(0.0, since_s + self._lease_s - self._clock())

    def expired(self) -> list[str]:
        """Trials whose lease is over."""
        return [trial for trial in self._since if self.left_s(trial) == 0.0]
