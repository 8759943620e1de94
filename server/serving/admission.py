"""Whether one more request may wait. A pure core, time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from unichunk.server.serving.backend import Busy, Expired

_SOONEST_S: Final = 0.02
_ALL: Final = "all clients"
_TENANT: Final = "this key or address"


@dataclass(frozen=True)
class Limits:
    """How much may wait, and how long.

    Attributes:
        waiting: Requests of all clients together.
        per_tenant: Requests of one tenant.
        per_client: Requests of one client.
        waiting_bytes: Of all messages that wait, together.
        tenant_bytes: Of one tenant's. A message that is larger may still wait where no other one does.
        patience_s: The longest that anything waits for a worker, [s].
    """

    waiting: int = 256
    per_tenant: int = 128
    per_client: int = 8
    waiting_bytes: int = 1 << 30
    tenant_bytes: int = 1 << 28
    patience_s: float = 10.0


@dataclass(frozen=True)
class Capacity:
    """What works on the requests.

    Attributes:
        workers: That are up; with none, nobody knows how long it takes.
        running: Requests that they have.
        each_s: Time of a worker that a request takes, its share of a batch, [s]; 0 where it is not known yet.
        service_s: From a request's way to a worker to its answer, [s]; 0 where it is not known yet.
    """

    workers: int
    running: int = 0
    each_s: float = 0.0
    service_s: float = 0.0

    def wait_s(self, ahead: int) -> float:
        """How long a request waits that has so many ahead of it in the queue, [s]."""
        if self.workers == 0:
            return 0.0
        # Workers answer as many at a time as there are of them; who finds one free waits for nobody.
        before = max(0, ahead + self.running - self.workers + 1)
        return before * self.each_s / self.workers


class Why(Enum):
    """Why a request was not taken in."""

    FULL = "full"
    TENANT = "tenant"
    CLIENT = "client"
    TOO_LONG = "too_long"
    LATE = "late"


@dataclass(frozen=True)
class Refusal:
    """A request that was not taken in.

    Attributes:
        why: The reason.
        message: The same for people, one line.
        retry_after_s: When there may be room, [s].
    """

    why: Why
    message: str
    retry_after_s: float

    def error(self) -> Busy | Expired:
        """The same, to be raised."""
        return Expired(self.message) if self.why is Why.LATE else Busy(self.message, self.retry_after_s)


@dataclass(frozen=True)
class Crowd:
    """Who waits already, from the point of view of one client.

    Attributes:
        waiting: Requests in all.
        of_tenant: Those of its tenant.
        of_client: Its own.
        ahead: At most so many are handed out before its next one, if nobody else comes.
        waiting_bytes: Of all messages that wait.
        tenant_bytes: Of its tenant's.
    """

    waiting: int
    of_tenant: int
    of_client: int
    ahead: int
    waiting_bytes: int = 0
    tenant_bytes: int = 0


def objection(limits: Limits, crowd: Crowd, capacity: Capacity, size: int, left_s: float | None) -> Refusal | None:
    """Why a request must not wait; None where it may.

    Args:
        limits: How much may wait, and how long.
        crowd: Who waits already.
        capacity: What works on it.
        size: Bytes of its message.
        left_s: Until the answer is no use any more, [s]; None where it always is.
    """
    if left_s is not None and left_s <= 0:
        return Refusal(Why.LATE, "the deadline of this request had passed before it came in", 0.0)
    wait_s = capacity.wait_s(crowd.ahead)
    retry_s = min(max(wait_s / 2, _SOONEST_S), limits.patience_s)
    full = _full(limits, crowd, size)
    if full is not None:
        why, reason = full
        return Refusal(why, f"the server is full: {reason}; try again in {retry_s:.2g} s", retry_s)
    if wait_s == 0.0:
        # A worker is free: what was measured may be old, and is measured anew only if somebody tries.
        return None
    bound_s = limits.patience_s
    if left_s is not None:
        bound_s = min(bound_s, left_s - capacity.service_s)
    if wait_s > bound_s:
        retry_s = min(max(wait_s - bound_s, _SOONEST_S), limits.patience_s)
        allowed = "the server's patience is" if bound_s == limits.patience_s else "its deadline leaves"
        return Refusal(
            Why.TOO_LONG,
            f"the server is full: this request would wait {wait_s:.2g} s, {allowed} {max(bound_s, 0.0):.2g} s; "
            f"try again in {retry_s:.2g} s",
            retry_s,
        )
    return None


def _full(limits: Limits, crowd: Crowd, size: int) -> tuple[Why, str] | None:
    for why, count, most, whose in (
        (Why.FULL, crowd.waiting, limits.waiting, _ALL),
        (Why.TENANT, crowd.of_tenant, limits.per_tenant, _TENANT),
        (Why.CLIENT, crowd.of_client, limits.per_client, "this connection"),
    ):
        if count >= most:
            return why, f"{count} requests of {whose} are waiting, {most} may"
    for why, held, most, whose in (
        (Why.FULL, crowd.waiting_bytes, limits.waiting_bytes, _ALL),
        (Why.TENANT, crowd.tenant_bytes, limits.tenant_bytes, _TENANT),
    ):
        if held and held + size > most:
            with_it = (held + size) / 2**20
            return why, f"with this one, {with_it:.3g} MiB of {whose} would be waiting, {most / 2**20:.3g} MiB may"
    return None
