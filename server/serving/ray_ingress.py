"""WebSocket and HTTP clients of a Ray cluster: the application of `app.py`, behind Ray's own proxies.

What works there as it does without Ray: all dialects and paths, keys, limits of requests and bytes per second,
sessions, administration, draining. What is different:

- TLS ends at Ray's proxies, which take the same certificate and key, and read them once.
- They take no message longer than 16 MiB, ask silent clients after 20 s whether they are there and give them 20 s to
  say so, and compress where a client asks for it.
- With several ingresses, each has its own clients: bounds on their number, rates of a key, sessions that may be
  resumed and the numbers of `/metrics` are those of one ingress. A client that sends the header `x-session-id` always
  comes to the same one.
- The file of keys is read where an ingress runs: on a cluster it has to be at the same place on all machines.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from unichunk.server.serving.app import build_app
from unichunk.server.serving.ray_backend import RayBackend
from unichunk.server.serving.ray_cluster import APP, NAMES, REPLICAS, deployment
from unichunk.server.serving.ray_edition import pack, unpack
from unichunk.server.serving.ray_extra import serve
from unichunk.server.serving.ray_replicas import ServeReplicas
from unichunk.server.serving.ray_router import ROUTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.serving.admission import Limits
    from unichunk.server.serving.backend import Backend
    from unichunk.server.serving.lifecycle import Stop
    from unichunk.server.serving.ray_cluster import RayCluster
    from unichunk.server.serving.service import Service

INGRESS_APP: Final = "unichunk"
INGRESS: Final = "ingress"
_LOOK_S: Final = 1.0
_CLIENTS: Final = 100_000
"""The service bounds its clients itself, and says so to whoever is one too many."""

MakeService: TypeAlias = "Callable[[Backend], tuple[Service, Callable[[], tuple[str, str]] | None]]"
"""From a backend to a server, and the page of its metrics. Ray sends it to the ingresses: a function of a module, or a
`partial` of one with plain data."""


class Ingress:
    """A deployment: takes in clients that Ray's proxies pass on, and has the replicas infer.

    Args:
        make: Makes the server.
        editions: What was served first, packed.
        limits: How much may wait for each policy at this ingress.
    """

    def __init__(self, make: MakeService, editions: bytes, limits: Limits) -> None:
        self._backend = RayBackend(ServeReplicas(APP, REPLICAS, NAMES), unpack(editions), limits=limits)
        self._make = make
        self._service: Service | None = None

    async def __serve_build_asgi_app__(self) -> Any:
        """Called by Ray once: the application."""
        await self._backend.start()
        self._service, page = self._make(self._backend)
        return build_app(self._service, page)

    async def drain(self, timeout_s: float) -> bool:
        """End in good order: nobody new, what was begun is answered.

        Returns:
            Whether all of it was.
        """
        assert self._service is not None
        self._service.drain()
        return await self._service.drained(timeout_s)

    async def draining(self) -> bool:
        """Whether an administrator asked this ingress to end."""
        return self._service is not None and self._service.draining


class RayFront:
    """What WebSocket and HTTP clients connect to where a Ray cluster infers; see `Front`.

    Args:
        cluster: Started by the time that this is.
        make: Makes the server in each ingress.
        limits: How much may wait for each policy at each ingress.
        drain_timeout_s: How long requests that were begun may take once it ends, [s].
    """

    def __init__(self, cluster: RayCluster, make: MakeService, limits: Limits, *, drain_timeout_s: float) -> None:
        self._cluster = cluster
        self._make = make
        self._limits = limits
        self._drain_timeout_s = drain_timeout_s
        self._draining: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Take clients in."""
        ingress = deployment(
            serve.ingress()(Ingress),
            INGRESS,
            cpus=0,
            most_ongoing=_CLIENTS,
            num_replicas=self._cluster.options.ingresses,
            request_router_config={"request_router_class": ROUTER},
        )
        await self._cluster.run(INGRESS_APP, ingress.bind(self._make, pack(self._cluster.editions), self._limits), "/")

    def drain(self) -> None:
        """Begin to end; to be called when the server does. Again does nothing."""
        if self._draining is None and self._cluster.runs(INGRESS_APP):
            self._draining = asyncio.ensure_future(self._all("drain", self._drain_timeout_s))

    async def stop(self) -> None:
        """Send clients away."""
        self.drain()
        if self._draining is not None:
            await asyncio.wait([self._draining], timeout=self._drain_timeout_s + _LOOK_S)
        await self._cluster.delete(INGRESS_APP)

    async def watch(self, stop: Stop) -> None:
        """End the command where an administrator asked one of the ingresses to end."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if any(answer is True for answer in await self._all("draining")):
                stop.ask()

    async def _all(self, method: str, *arguments: float) -> list[Any]:
        handle = serve.get_deployment_handle(INGRESS, INGRESS_APP).options(_by_reference=False)
        answers: list[Any] = await handle.broadcast(method, *arguments).results_async(return_exceptions=True)
        return answers
