"""Requests that wait for a worker: fair, bounded, and never handed out too late. A pure core, time is passed in."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from unichunk.server.serving.admission import Crowd, Refusal, Why, objection
from unichunk.server.serving.turns import Turns

if TYPE_CHECKING:
    from unichunk.server.serving.admission import Capacity, Limits
    from unichunk.server.serving.backend import Caller

T = TypeVar("T")

_STALE: Final = 64
"""So many deadlines of requests that are gone are kept before they are swept out."""


@dataclass(frozen=True)
class Taken(Generic[T]):
    """A request that is handed out.

    Attributes:
        ticket: Its name in this queue.
        item: The request.
        waited_s: How long it waited, [s].
    """

    ticket: int
    item: T
    waited_s: float


@dataclass
class Counts:
    """What became of all requests so far: admitted = handed_out + expired + cancelled + still waiting."""

    admitted: int = 0
    handed_out: int = 0
    expired: int = 0
    cancelled: int = 0
    refused: Counter[Why] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    item: T
    caller: Caller
    size: int
    since_s: float
    deadline_s: float


class FairQueue(Generic[T]):
    """A bounded number of waiting requests; tenants take turns, and within a tenant its clients.

    Args:
        limits: How much may wait, and how long.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.counts = Counts()
        self._waiting: dict[int, _Waiting[T]] = {}
        self._turns = Turns()
        self._bytes: Counter[str] = Counter()
        self._all_bytes = 0
        self._deadlines: list[tuple[float, int]] = []
        self._expired: list[T] = []
        self._tickets = 0

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def offer(
        self,
        now_s: float,
        item: T,
        caller: Caller,
        capacity: Capacity,
        *,
        size: int = 0,
        deadline_s: float | None = None,
    ) -> int | Refusal:
        """Take a request in, or say at once why not.

        Args:
            now_s: The time, [s].
            item: The request.
            caller: Who asks.
            capacity: What works on requests at the moment.
            size: Bytes of its message.
            deadline_s: When its answer is no use any more, [s]; None: it waits as long as the limits allow.

        Returns:
            Its ticket, its name in this queue that is never used again; or why it is not taken in.
        """
        self._expire(now_s)
        left_s = None if deadline_s is None else deadline_s - now_s
        refusal = objection(self.limits, self._crowd(caller), capacity, size, left_s)
        if refusal is not None:
            self.counts.refused[refusal.why] += 1
            return refusal
        self._tickets += 1
        ticket = self._tickets
        self._turns.add(caller, ticket)
        latest_s = now_s + self.limits.patience_s
        until_s = latest_s if deadline_s is None else min(deadline_s, latest_s)
        self._waiting[ticket] = _Waiting(item, caller, size, now_s, until_s)
        self._bytes[caller.tenant] += size
        self._all_bytes += size
        heapq.heappush(self._deadlines, (until_s, ticket))
        self.counts.admitted += 1
        return ticket

    def take(self, now_s: float, most: int) -> list[Taken[T]]:
        """Hand out what is next, up to `most`; nothing whose deadline has passed."""
        self._expire(now_s)
        taken: list[Taken[T]] = []
        while self._waiting and len(taken) < most:
            ticket = self._turns.next()
            waiting = self._out(ticket)
            assert waiting is not None
            taken.append(Taken(ticket, waiting.item, now_s - waiting.since_s))
        self.counts.handed_out += len(taken)
        return taken

    def cancel(self, ticket: int) -> bool:
        """Take a request out that nobody waits for.

        Returns:
            Whether it was still waiting.
        """
        waiting = self._out(ticket)
        if waiting is None:
            return False
        self._turns.remove(waiting.caller, ticket)
        self.counts.cancelled += 1
        return True

    def expire(self, now_s: float) -> list[T]:
        """Requests whose deadline has passed since the last call; they are out."""
        self._expire(now_s)
        expired, self._expired = self._expired, []
        return expired

    def next_deadline_s(self) -> float | None:
        """When the next request expires, [s]; None where nothing waits."""
        while self._deadlines and self._deadlines[0][1] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def _expire(self, now_s: float) -> None:
        if len(self._deadlines) > 2 * len(self._waiting) + _STALE:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._waiting]
            heapq.heapify(self._deadlines)
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, ticket = heapq.heappop(self._deadlines)
            waiting = self._out(ticket)
            if waiting is not None:
                self._turns.remove(waiting.caller, ticket)
                self._expired.append(waiting.item)
                self.counts.expired += 1

    def _out(self, ticket: int) -> _Waiting[T] | None:
        waiting = self._waiting.pop(ticket, None)
        if waiting is not None:
            tenant = waiting.caller.tenant
            self._all_bytes -= waiting.size
            self._bytes[tenant] -= waiting.size
            if not self._bytes[tenant]:
                del self._bytes[tenant]
        return waiting

    def _crowd(self, caller: Caller) -> Crowd:
        return Crowd(
            waiting=len(self._waiting),
            of_tenant=self._turns.of_tenant(caller.tenant),
            of_client=self._turns.of_client(caller),
            ahead=self._turns.ahead_of(caller),
            waiting_bytes=self._all_bytes,
            tenant_bytes=self._bytes[caller.tenant],
        )
