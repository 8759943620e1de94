"""Whether a connection is alive: judged by pings, not by the kernel's patience. No clock: time is passed in."""

from __future__ import annotations

from typing import Final

PING_AFTER_S: Final = 0.25
"""Silence while an answer is awaited after which the server is asked whether it is there, [s]."""

SILENCE_S: Final = 1.0
"""How long the answer to that may take beyond what the network takes, [s]."""

MOST_SILENCE_S: Final = 5.0
"""How long it may take at most, [s]; before anything is known of the network, too."""

_FORGET: Final = 0.95


class Liveness:
    """Judges one connection after the other, and remembers how slow the network is."""

    def __init__(self) -> None:
        self._heard = 0.0
        self._ping: float | None = None
        self._transport_s: float | None = None

    @property
    def silence_s(self) -> float:
        """How long a ping may go unanswered: a slow uplink keeps it behind the pictures, [s]."""
        if self._transport_s is None:
            return MOST_SILENCE_S
        return min(MOST_SILENCE_S, SILENCE_S + 2 * self._transport_s)

    def connected(self, now: float) -> None:
        """A new connection stands."""
        self._heard = now
        self._ping = None

    def asked(self, now: float) -> None:
        """A request went out: silence counts from here on, unless a ping is out already."""
        if self._ping is None:
            self._heard = max(self._heard, now)

    def heard(self, now: float) -> None:
        """Something came: whatever it was, the other side is there."""
        self._heard = now
        self._ping = None

    def answered(self, transport_s: float) -> None:
        """An answer's time on the network, there and back, [s]."""
        self._transport_s = max(transport_s, _FORGET * (self._transport_s or 0.0))

    def ping_due(self, now: float) -> bool:
        """Whether to ask if the server is there."""
        return self._ping is None and now >= self._heard + PING_AFTER_S

    def pinged(self, now: float) -> None:
        """A ping went out."""
        self._ping = now

    def dead(self, now: float) -> bool:
        """Whether to hang up."""
        return self._ping is not None and now >= self._ping + self.silence_s

    def look_at(self) -> float:
        """When one of these may change if nothing comes, [s]."""
        return self._heard + PING_AFTER_S if self._ping is None else self._ping + self.silence_s
