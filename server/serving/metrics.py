"""What is counted and timed of a server; where it goes is `prometheus_metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from unichunk.server.serving.work import Answer, Dialect

Outcome: TypeAlias = Literal["answered", "refused", "busy", "late", "rate", "key", "draining", "cancelled", "failed"]
"""What became of a request: a chunk; an error that the policy or the message has; a full queue; too late; too many of
this key; a key that may not; a server that ends; a client that hung up or asked anew; a server that failed."""

WorkerEvent: TypeAlias = Literal["retried", "restarted"]
"""A request whose worker died went to another one; a worker was replaced."""


class Metrics(Protocol):
    """Takes in what happens; never waits."""

    def request(self, policy: str, dialect: Dialect, outcome: Outcome, took_s: float, received: int, sent: int) -> None:
        """One request is over.

        Args:
            policy: The name under which it is served.
            dialect: In which it came.
            outcome: What became of it.
            took_s: From its arrival to its answer, [s].
            received: Length of its message, [bytes].
            sent: Length of its answer, [bytes].
        """
        ...

    def stages(self, policy: str, answer: Answer) -> None:
        """What a worker spent on an answer."""
        ...

    def turned_away(self, why: Outcome) -> None:
        """A connection was refused."""
        ...

    def waited(self, policy: str, seconds: float) -> None:
        """A request went to a worker after this wait, [s]."""
        ...

    def worker(self, policy: str, what: WorkerEvent) -> None:
        """Something happened to a worker."""
        ...

    def loop_lag(self, seconds: float) -> None:
        """How late the event loop came back to what was due, [s]."""
        ...


class NoMetrics:
    """Counts nothing: where nobody could ask."""

    def request(self, policy: str, dialect: Dialect, outcome: Outcome, took_s: float, received: int, sent: int) -> None:
        """See `Metrics`."""

    def stages(self, policy: str, answer: Answer) -> None:
        """See `Metrics`."""

    def turned_away(self, why: Outcome) -> None:
        """See `Metrics`."""

    def waited(self, policy: str, seconds: float) -> None:
        """See `Metrics`."""

    def worker(self, policy: str, what: WorkerEvent) -> None:
        """See `Metrics`."""

    def loop_lag(self, seconds: float) -> None:
        """See `Metrics`."""
