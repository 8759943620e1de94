"""What a backend tells whoever counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from unichunk.server.serving.work import Answer


class Watch(Protocol):
    """Told what happens to requests and workers, in the event loop. Must neither block nor raise."""

    def queued(self, policy: str, waiting: int) -> None:
        """A request was taken in; so many wait now, it included."""
        ...

    def refused(self, policy: str, why: str) -> None:
        """A request was not taken in: `full`, `tenant`, `client`, `too_long` or `late`."""
        ...

    def started(self, policy: str, waited_s: float) -> None:
        """A request went to a worker after this wait, [s]."""
        ...

    def answered(self, policy: str, answer: Answer, took_s: float) -> None:
        """A worker answered, so long after it was given the request, [s]."""
        ...

    def expired(self, policy: str) -> None:
        """A request's deadline passed before a worker was free."""
        ...

    def cancelled(self, policy: str) -> None:
        """Nobody waits for a request any more."""
        ...

    def retried(self, policy: str) -> None:
        """A request's worker died with it, and it goes to another one."""
        ...

    def restarted(self, policy: str, reason: str) -> None:
        """A worker ended or could not be started, and is being replaced: why, one line."""
        ...


class NoWatch:
    """Counts nothing."""

    def queued(self, policy: str, waiting: int) -> None:
        """See `Watch`."""

    def refused(self, policy: str, why: str) -> None:
        """See `Watch`."""

    def started(self, policy: str, waited_s: float) -> None:
        """See `Watch`."""

    def answered(self, policy: str, answer: Answer, took_s: float) -> None:
        """See `Watch`."""

    def expired(self, policy: str) -> None:
        """See `Watch`."""

    def cancelled(self, policy: str) -> None:
        """See `Watch`."""

    def retried(self, policy: str) -> None:
        """See `Watch`."""

    def restarted(self, policy: str, reason: str) -> None:
        """See `Watch`."""
