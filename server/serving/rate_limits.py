"""How much somebody may ask for: pure counters, no clock; time is passed in, and memory is bounded.

All times are seconds of one clock that does not go back, such as `time.monotonic()`.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from unichunk.runtime.errors import UnichunkError

V = TypeVar("V")

MAX_TENANTS: Final = 4096
"""Tenants whose buckets are remembered: more than a key file has."""

MAX_ADDRESSES: Final = 65536
"""Addresses whose failures are remembered."""

_MAX_NAME: Final = 64


@dataclass(frozen=True)
class Rate:
    """So much a second on average, and so much at once.

    Attributes:
        per_s: Refilled a second; positive.
        burst: What may be taken at once after a pause; positive.
    """

    per_s: float
    burst: float

    def __post_init__(self) -> None:
        if not (0 < self.per_s < math.inf and 0 < self.burst < math.inf):
            raise UnichunkError(
                f"rate: expected positive numbers, got {self.per_s:g} a second and {self.burst:g} at once"
            )


class TokenBucket:
    """A bucket that fills at a rate, and that is full at first.

    What exceeds the burst (a message longer than it) is let through by a full bucket alone, and the debt is waited for
    afterwards. In any time t, at most `burst + per_s * t` is taken, and the excess of one such message.

    Args:
        rate: How fast it fills, and how much it holds.
        now: [s].
    """

    __slots__ = ("_level", "_rate", "_then")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = rate.burst
        self._then = now

    def wait_s(self, amount: float, now: float) -> float:
        """How long until so much can be taken, [s]; 0 where it can be now."""
        missing = min(amount, self._rate.burst) - self._fill(now)
        return max(0.0, missing / self._rate.per_s)

    def take(self, amount: float, now: float) -> float:
        """Take so much, or nothing.

        Args:
            amount: At least 0.
            now: [s].

        Returns:
            0 where it was taken, else how long until it could be, [s].
        """
        wait = self.wait_s(amount, now)
        if wait == 0:
            self._level -= amount
        return wait

    def is_full(self, now: float) -> bool:
        """Whether it is as good as new."""
        return self._fill(now) >= self._rate.burst

    def _fill(self, now: float) -> float:
        if now > self._then:
            self._level = min(self._rate.burst, self._level + (now - self._then) * self._rate.per_s)
            self._then = now
        return self._level


class _Latest(Generic[V]):
    """A map of bounded size: the entry that was not used for the longest time makes room."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> V | None:
        entry = self._entries.get(name)
        if entry is not None:
            self._entries.move_to_end(name)
        return entry

    def put(self, name: str, entry: V) -> None:
        self._entries[name] = entry
        self._entries.move_to_end(name)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def drop(self, name: str) -> None:
        self._entries.pop(name, None)


class TenantLimits:
    """How many requests and bytes a second each tenant may send.

    Args:
        requests: Requests; None: as many as they like.
        sent: Bytes of their messages; None: as many as they like.
        capacity: Tenants that are remembered; the one that was silent for the longest time is forgotten first.
    """

    def __init__(self, requests: Rate | None, sent: Rate | None, *, capacity: int = MAX_TENANTS) -> None:
        self._rates = tuple(rate for rate in (requests, sent) if rate is not None)
        self._amounts = tuple(i for i, rate in enumerate((requests, sent)) if rate is not None)
        self._buckets: _Latest[tuple[TokenBucket, ...]] = _Latest(capacity)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, tenant: str, size: int, now: float) -> float:
        """Let one request in, or nothing of it.

        Args:
            tenant: Who sends it.
            size: Of its message, [byte].
            now: [s].

        Returns:
            0 where it may pass, else after how long it may, [s].
        """
        if not self._rates:
            return 0.0
        buckets = self._buckets.get(tenant)
        if buckets is None:
            buckets = tuple(TokenBucket(rate, now) for rate in self._rates)
            self._buckets.put(tenant, buckets)
        amounts = [(1, size)[i] for i in self._amounts]
        wait = max(bucket.wait_s(amount, now) for bucket, amount in zip(buckets, amounts, strict=True))
        if wait == 0:
            for bucket, amount in zip(buckets, amounts, strict=True):
                bucket.take(amount, now)
        return wait


class Connections:
    """How many connections there are, of each tenant or address and in all.

    Args:
        most: Of all together.
        most_each: Of one tenant.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._open: dict[str, int] = {}
        self._all = 0

    def __len__(self) -> int:
        return self._all

    def of(self, tenant: str) -> int:
        """How many a tenant has."""
        return self._open.get(tenant, 0)

    def enter(self, tenant: str) -> bool:
        """Count one more, if it may be; whoever is let in has to `leave` once."""
        if self._all >= self._most or self.of(tenant) >= self._most_each:
            return False
        self._all += 1
        self._open[tenant] = self.of(tenant) + 1
        return True

    def leave(self, tenant: str) -> None:
        """Count one less; nothing where none is open."""
        have = self._open.pop(tenant, 0)
        if have:
            self._all -= 1
        if have > 1:
            self._open[tenant] = have - 1


@dataclass
class _Failures:
    count: int
    last: float
    until: float


class FailedAttempts:
    """Wrong keys from an address: the first few are answered and logged, then once in a growing while.

    A right key is always let in, whatever its address did before: robots behind one address do not suffer from one
    among them that has a wrong key, and nobody guesses 256 random bits. What is limited is the work that wrong keys
    make: log lines, answers, handshakes. So ask `failed` only after the key was found wrong.

    Args:
        free: Failures that are answered at once.
        first_s: The first wait, [s]; it doubles with every further failure that is answered.
        longest_s: The longest wait, [s].
        forget_s: After so long without a failure all is forgotten, [s].
        capacity: Addresses that are remembered; the one that failed the longest time ago is forgotten first.
    """

    def __init__(
        self,
        *,
        free: int = 5,
        first_s: float = 1.0,
        longest_s: float = 60.0,
        forget_s: float = 600.0,
        capacity: int = MAX_ADDRESSES,
    ) -> None:
        self._free = free
        self._first_s = first_s
        self._longest_s = longest_s
        self._forget_s = forget_s
        self._failures: _Latest[_Failures] = _Latest(capacity)

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, address: str, now: float) -> float:
        """How long nothing more is said to an address that comes with wrong keys, [s]."""
        known = self._failures.get(address_group(address))
        return 0.0 if known is None else max(0.0, known.until - now)

    def failed(self, address: str, now: float) -> float:
        """Count a wrong key.

        Args:
            address: Where it came from, as the socket says it.
            now: [s].

        Returns:
            0 where it shall be answered and logged, else for how long nothing more is said: close without a word.
        """
        group = address_group(address)
        known = self._failures.get(group)
        if known is None or now - known.last >= max(self._forget_s, known.until - known.last):
            known = _Failures(0, now, now)
        elif known.until > now:
            known.last = now
            return known.until - now
        known.count += 1
        known.last = now
        known.until = now + self._next_wait_s(known.count)
        self._failures.put(group, known)
        return 0.0

    def succeeded(self, address: str) -> None:
        """Forget an address's failures: a right key came from it."""
        self._failures.drop(address_group(address))

    def _next_wait_s(self, count: int) -> float:
        beyond = count - self._free
        if beyond < 0:
            return 0.0
        # 2^1024 is no float; the longest wait comes long before.
        return min(self._longest_s, self._first_s * 2.0 ** min(beyond, 64))


def address_group(address: str) -> str:
    """What counts as one address: an IPv4 address, or the 64 bit network of an IPv6 address, which one host has whole.

    Args:
        address: As a socket says it, without a port; what is no address (a Unix socket) is its own group.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_MAX_NAME]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
