"""What a server takes from its clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unichunk.server.usage_error import UsageError

TOO_MANY: Final = "malformed message: far more values than an observation has; send pictures as arrays, not as lists"
"""What is said of messages that are `message_cost.is_dear`."""


@dataclass(frozen=True)
class ClientLimits:
    """Bounds that hold whoever the client is; what a key may do beyond that is the key's.

    Attributes:
        message_bytes: Longest message.
        clients: Connections at once, of everybody.
        clients_per_tenant: Connections at once, of one key or, without keys, of one address.
        in_flight_per_client: Requests that one lean client may have unanswered; the oldest is given up for a newer one.
        sessions: Lean sessions that are kept.
        session_bytes: What their last observations may take together.
        keep_alive_s: A session of which nothing was heard for this long is forgotten, [s].
        answer_s: A request that has no answer after this long gets none, [s].
        handshake_s: A connection that has not said what it wants after this long is closed, [s].
        ping_interval_s: How often a WebSocket client is asked whether it is there, [s].
        ping_timeout_s: How long it may take to say so, [s]: one that computes meanwhile does not hear the question.
    """

    message_bytes: int = 64 * 2**20
    clients: int = 1024
    clients_per_tenant: int = 512
    in_flight_per_client: int = 4
    sessions: int = 1024
    session_bytes: int = 2**30
    keep_alive_s: float = 300.0
    answer_s: float = 60.0
    handshake_s: float = 10.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"{name}: expected more than 0, got {value:g}")
