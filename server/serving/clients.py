"""Who is connected: how many of whom, and how to tell them that the server ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from unichunk.server.serving.backend import Busy, Caller
from unichunk.server.serving.rate_limits import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.limits import ClientLimits

FULL_RETRY_S: Final = 5.0
"""When a place may be free where all are taken, [s]: nobody knows."""


@dataclass(eq=False)
class Client:
    """One connection.

    Attributes:
        name: For logs and the queue: `ws-17`.
        tenant: Whose it is.
        identity: Who it is.
        address: Where it is, without the port; empty for a Unix socket.
        seed: Of its noise, where it does not bring its own.
        episode: How often it has begun anew.
        number: Of its next request in this episode.
        ending: Called once when the server begins to end.
    """

    name: str
    tenant: str
    identity: Identity
    address: str
    seed: int
    episode: int = 0
    number: int = 0
    ending: Callable[[], object] | None = field(default=None, repr=False)

    @property
    def caller(self) -> Caller:
        """Whose request it is, for the queue."""
        return Caller(self.tenant, self.name)

    def next_seed(self) -> tuple[int, int, int]:
        """What the next request's noise is drawn from."""
        seed = (self.seed, self.episode, self.number)
        self.number += 1
        return seed

    def begin_episode(self) -> None:
        """The robot starts anew."""
        self.episode += 1
        self.number = 0


class Clients:
    """The connections there are; a bounded number.

    Args:
        limits: How many.
        seed: Of the first client's noise; the next ones' follow.
    """

    def __init__(self, limits: ClientLimits, seed: int = 0) -> None:
        self._limits = limits
        self._seed = seed
        self._clients: dict[str, Client] = {}
        self._connections = Connections(limits.clients, limits.clients_per_tenant)
        self._named = 0

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._clients.values()))

    def enter(self, front: str, tenant: str, identity: Identity, address: str) -> Client:
        """Take somebody in.

        Args:
            front: Beginning of the name.
            tenant: Whose connection it is.
            identity: Who it is.
            address: Where it is.

        Raises:
            Busy: Where all places are taken.
        """
        if not self._connections.enter(tenant):
            if len(self) >= self._limits.clients:
                raise Busy(f"the server is full: it has {len(self)} clients, connect later", FULL_RETRY_S)
            have = self._connections.of(tenant)
            raise Busy(
                f"{tenant} has {have} connections, which is all that one may have: close one, or connect later",
                FULL_RETRY_S,
            )
        self._named += 1
        client = Client(f"{front}-{self._named}", tenant, identity, address, self._seed + self._named - 1)
        self._clients[client.name] = client
        return client

    def leave(self, client: Client) -> bool:
        """Somebody has gone.

        Returns:
            False where that was known.
        """
        if self._clients.pop(client.name, None) is None:
            return False
        self._connections.leave(client.tenant)
        return True
