"""What a backend tells of its queue and its workers, counted and logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.serving.watch import NoWatch

if TYPE_CHECKING:
    from unichunk.server.serving.logs import Log
    from unichunk.server.serving.metrics import Metrics


class WorkerWatch(NoWatch):
    """Counts how long requests wait, and says when workers are replaced; see `Watch`.

    Args:
        metrics: Where to count.
        log: Where to say.
    """

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    def started(self, policy: str, waited_s: float) -> None:
        """See `Watch`."""
        self._metrics.waited(policy, waited_s)

    def retried(self, policy: str) -> None:
        """See `Watch`."""
        self._metrics.worker(policy, "retried")
        self._log.event("warning", "request retried", policy=policy)

    def restarted(self, policy: str, reason: str) -> None:
        """See `Watch`."""
        self._metrics.worker(policy, "restarted")
        self._log.event("error", "worker replaced", policy=policy, why=reason)
