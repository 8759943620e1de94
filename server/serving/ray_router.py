"""Sticky sessions: Ray makes one of these in every process that sends requests to replicas."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from unichunk.server.serving.ray_extra import RequestRouter
from unichunk.server.serving.ray_order import ranks
from unichunk.server.serving.ray_view import LOADED, note_replicas, room_for

if TYPE_CHECKING:
    from ray.serve.request_router import PendingRequest, ReplicaID, RunningReplica

ROUTER: Final = "unichunk.server.serving.ray_router.SessionRouter"
"""Where Ray finds the class."""


class SessionRouter(RequestRouter):
    """Sends all requests of a session to one replica while that lives and has room, else to another one.

    Whether it has room is judged by what this process sent it. What Ray itself keeps of a replica's queue may be ten
    seconds old where others send to it too; it decides among replicas of one rank.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._everywhere = True
        self._sent: Counter[str] = Counter()

    def initialize_state(self, **kwargs: Any) -> None:
        """Called by Ray once.

        Args:
            kwargs: `everywhere`: whether every replica has every policy loaded; else those are preferred that have it.
        """
        self._everywhere = bool(kwargs.get("everywhere", True))

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Called by Ray whenever replicas come and go."""
        super().update_replicas(replicas)
        up = {replica.replica_id.unique_id for replica in replicas}
        self._sent = Counter({name: count for name, count in self._sent.items() if name in up})
        note_replicas(self._deployment_id.app_name, self._deployment_id.name, len(replicas))

    def on_send_request(self, replica_id: ReplicaID) -> None:
        """Called by Ray when a request is on its way to a replica."""
        super().on_send_request(replica_id)
        self._sent[replica_id.unique_id] += 1

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Called by Ray when it came back, or never will."""
        super().on_request_completed(replica_id, internal_request_id)
        if self._sent[replica_id.unique_id] > 0:
            self._sent[replica_id.unique_id] -= 1

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Called by Ray for each request, and again after a pause where all that was offered is full."""
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        replicas: dict[str, Any] = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        queues = {name: self._sent[name] for name in replicas}
        model_id = pending_request.metadata.multiplexed_model_id
        holders = None
        if model_id and not self._everywhere:
            holders = {
                name
                for name, replica in replicas.items()
                if model_id in replica.multiplexed_model_ids or model_id in replica.routing_stats.get(LOADED, ())
            }
        session = pending_request.metadata.session_id
        order = ranks(session, model_id, queues, room=room_for(model_id), holders=holders)
        return [[replicas[name] for name in rank] for rank in order]
