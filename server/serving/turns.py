"""Two-level round robin: tenants take turns, and within a tenant its clients."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.server.serving.backend import Caller


class Turns:
    """Tickets in the order in which they are served.

    Between two turns of a tenant, every other tenant that has something waiting has one turn; so it is with the
    clients within a tenant. Who comes, or comes back with nothing waiting, is behind all others.
    """

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, OrderedDict[str, deque[int]]] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def add(self, caller: Caller, ticket: int) -> None:
        """Behind all others of the same client."""
        self._tenants.setdefault(caller.tenant, OrderedDict()).setdefault(caller.client, deque()).append(ticket)
        self._sizes[caller.tenant] = self._sizes.get(caller.tenant, 0) + 1

    def next(self) -> int:
        """Take out whose turn it is. There must be one."""
        tenant, clients = next(iter(self._tenants.items()))
        client, tickets = next(iter(clients.items()))
        ticket = tickets.popleft()
        self._left(tenant, client)
        if client in clients:
            clients.move_to_end(client)
        if tenant in self._tenants:
            self._tenants.move_to_end(tenant)
        return ticket

    def remove(self, caller: Caller, ticket: int) -> None:
        """Take a ticket out of its place. It must be there."""
        self._tenants[caller.tenant][caller.client].remove(ticket)
        self._left(caller.tenant, caller.client)

    def of_tenant(self, tenant: str) -> int:
        """How many a tenant has."""
        return self._sizes.get(tenant, 0)

    def of_client(self, caller: Caller) -> int:
        """How many a client has."""
        return len(self._clients_of(caller.tenant).get(caller.client, ()))

    def ahead_of(self, caller: Caller) -> int:
        """At most so many have their turn before the next ticket that this client adds, if nobody else adds any."""
        clients = self._clients_of(caller.tenant)
        own = len(clients.get(caller.client, ()))
        of_tenant = own + sum(
            min(len(tickets), own + 1) for client, tickets in clients.items() if client != caller.client
        )
        of_others = sum(min(size, of_tenant + 1) for tenant, size in self._sizes.items() if tenant != caller.tenant)
        return of_tenant + of_others

    def _clients_of(self, tenant: str) -> Mapping[str, deque[int]]:
        return self._tenants.get(tenant, {})

    def _left(self, tenant: str, client: str) -> None:
        clients = self._tenants[tenant]
        if not clients[client]:
            del clients[client]
        self._sizes[tenant] -= 1
        if not clients:
            del self._tenants[tenant], self._sizes[tenant]
