"""`unichunk serve --ray`: the parts of a server whose policies are in a Ray cluster.

ZeroMQ and Unix sockets stay with the command's own process, which sends to the replicas like any other front. WebSocket
and HTTP go through Ray's proxies to ingresses, see `ray_ingress`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unichunk.server.serving.http_server import reserve
from unichunk.server.serving.ray_backend import RayBackend
from unichunk.server.serving.ray_cluster import ClusterReplicas, RayCluster
from unichunk.server.serving.ray_ingress import RayFront

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.server.serving.admission import Limits
    from unichunk.server.serving.ray_ingress import MakeService
    from unichunk.server.serving.ray_options import RayOptions
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.watch import Watch


@dataclass(frozen=True)
class ProxyAddress:
    """Where Ray's proxies listen, on every machine of the cluster that has one of our processes.

    Attributes:
        host: Address.
        port: 0 for any free one of this machine.
        certificate: For HTTPS and wss, at the same place on all machines; None without.
        key: Its key.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class RayParts:
    """Nothing is started yet.

    Attributes:
        backend: Of the command's own service; it starts the cluster, and ends it.
        front: What WebSocket and HTTP clients connect to; None where there is none.
        port: Where it listens.
    """

    backend: RayBackend
    front: RayFront | None
    port: int


def ray_parts(
    options: RayOptions,
    sources: Sequence[PolicySource],
    *,
    http: ProxyAddress | None,
    make: MakeService,
    limits: Limits,
    drain_timeout_s: float,
    watch: Watch | None = None,
) -> RayParts:
    """Build the parts.

    Args:
        options: How the cluster shall be used.
        sources: The policies, the default first.
        http: Where Ray's proxies listen; None: nowhere.
        make: Makes the server in each ingress.
        limits: How much may wait for each policy at each front.
        drain_timeout_s: How long requests that were begun may take once the server ends, [s].
        watch: Told what happens to requests of this process.

    Raises:
        UnichunkError: Where the address is taken.
    """
    port = 0 if http is None else _free_port(http)
    cluster = RayCluster(options, sources, http=None if http is None else _http_options(http, port))
    backend = RayBackend(ClusterReplicas(cluster), cluster.editions, limits=limits, watch=watch)
    front = None if http is None else RayFront(cluster, make, limits, drain_timeout_s=drain_timeout_s)
    return RayParts(backend, front, port)


def _free_port(http: ProxyAddress) -> int:
    # Ray's proxy binds it itself, later and in another process; what is taken now is said now.
    sockets = reserve(http.host, http.port)
    port: int = sockets[0].getsockname()[1]
    for one in sockets:
        one.close()
    return port


def _http_options(http: ProxyAddress, port: int) -> dict[str, Any]:
    options: dict[str, Any] = {"host": http.host, "port": port}
    if http.certificate is not None and http.key is not None:
        options |= {"ssl_certfile": str(http.certificate.resolve()), "ssl_keyfile": str(http.key.resolve())}
    return options
