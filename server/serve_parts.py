"""Builds a server's parts from what its command line says: each part's address is taken, nothing is loaded yet."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import zmq

from unichunk.server.serving.admission import Limits
from unichunk.server.serving.certificate_watch import keep_certificate
from unichunk.server.serving.curve import CurveDoor
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.local_backend import LocalBackend
from unichunk.server.serving.service_settings import ServiceSettings, make_metrics, make_service
from unichunk.server.serving.tls import Tls, TlsFiles
from unichunk.server.serving.worker_watch import WorkerWatch
from unichunk.server.serving.zmq_front import ZmqFront
from unichunk.server.serving.zmq_router import Router
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from unichunk.embodiments.link.sockets import Context
    from unichunk.server.serve_command import Serve
    from unichunk.server.serving.backend import Backend
    from unichunk.server.serving.lifecycle import Front, Stop
    from unichunk.server.serving.ray_app import RayParts
    from unichunk.server.serving.ray_ingress import RayFront
    from unichunk.server.serving.service import Service
    from unichunk.server.serving.source import PolicySource

MIB: Final = 2**20

_HTTP_NEEDS: Final = ("fastapi", "httptools", "prometheus_client", "uvicorn", "uvloop", "websockets")


@dataclass
class Parts:
    """A server, ready to be started.

    Attributes:
        service: What is served.
        fronts: What it listens on.
        addresses: The same for people: what for, and where.
        tasks: What runs beside it.
        watches: The same, of what may end it.
    """

    service: Service
    fronts: list[Front] = field(default_factory=list)
    addresses: list[tuple[str, str]] = field(default_factory=list)
    tasks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    watches: list[Callable[[Stop], Awaitable[None]]] = field(default_factory=list)


def build(options: Serve, sources: Sequence[PolicySource]) -> Parts:
    """Build the parts; to be called in the event loop that they run in.

    Args:
        options: The command line, checked.
        sources: The policies.

    Raises:
        UnichunkError: Where an address is taken, or a key file cannot be used; one line, and nothing is held.
    """
    if options.http:
        missing = [name for name in _HTTP_NEEDS if find_spec(name) is None]
        if missing:
            raise UsageError(
                f"HTTP and WebSocket need {', '.join(missing)}: pip install 'unichunk[server]', or --no-http"
            )
    settings = ServiceSettings(
        limits=ClientLimits(message_bytes=round(options.max_message_mb * MIB)),
        keys=options.keys,
        requests_per_s=options.requests_per_s,
        bytes_per_s=options.mb_per_s * MIB,
        log_format=options.log_format,
        log_level=options.log_level,
        seed=options.seed,
    )
    curve = None if options.curve is None else CurveDoor(options.curve)
    log, metrics = settings.log(), make_metrics()
    watch = WorkerWatch(metrics[0], log)
    limits = Limits(patience_s=options.patience)
    tls = None
    if options.tls_cert is not None and options.tls_key is not None:
        tls = Tls(TlsFiles(options.tls_cert, options.tls_key))
    ray = None
    if options.cluster.ray:
        ray = _ray(options, sources, settings, limits, watch)
    backend: Backend = LocalBackend(sources, limits=limits, watch=watch) if ray is None else ray.backend
    service, page = make_service(
        settings, backend, others=() if curve is None else (curve.clients,), log=log, metrics=metrics
    )
    parts = Parts(service)
    with ExitStack() as stack:
        if ray is not None and ray.front is not None:
            _add_ray(options, parts, ray.front, ray.port)
        elif options.http:
            _add_http(options, parts, page, tls, stack)
        if options.zmq or options.ipc is not None:
            _add_zmq(options, parts, curve, stack)
        stack.pop_all()
    return parts


def _ray(
    options: Serve, sources: Sequence[PolicySource], settings: ServiceSettings, limits: Limits, watch: WorkerWatch
) -> RayParts:
    from unichunk.server.serving.ray_app import ProxyAddress, ray_parts  # noqa: PLC0415  (an extra)

    http = ProxyAddress(options.host, options.port, options.tls_cert, options.tls_key) if options.http else None
    return ray_parts(
        options.cluster.options(),
        sources,
        http=http,
        make=partial(make_service, settings),
        limits=limits,
        drain_timeout_s=options.drain_timeout,
        watch=watch,
    )


def _add_ray(options: Serve, parts: Parts, front: RayFront, port: int) -> None:
    parts.service.when_draining(front.drain)
    parts.fronts.append(front)
    parts.watches.append(front.watch)
    host = f"[{options.host}]" if ":" in options.host else options.host
    _say_http(parts, f"{host}:{port}", secure=options.tls_cert is not None)


def _add_http(options: Serve, parts: Parts, page: Any, tls: Tls | None, stack: ExitStack) -> None:
    from unichunk.server.serving.app import build_app  # noqa: PLC0415  (an extra)
    from unichunk.server.serving.http_server import HttpServer, address_of, reserve  # noqa: PLC0415  (an extra)

    sockets = reserve(options.host, options.port)
    for one in sockets:
        stack.callback(one.close)
    service = parts.service
    context = None if tls is None else tls.context
    app = build_app(service, page)
    parts.fronts.append(HttpServer(app, sockets, limits=service.limits, tls=context, log=service.log))
    if tls is not None:
        parts.tasks.append(partial(keep_certificate, tls, service.log))
    _say_http(parts, address_of(sockets[0]), secure=tls is not None)


def _say_http(parts: Parts, address: str, *, secure: bool) -> None:
    letter = "s" if secure else ""
    parts.addresses.append(("openpi and unichunk clients", f"ws{letter}://{address}"))
    parts.addresses.append(("health, metrics, administration", f"http{letter}://{address}"))


def _add_zmq(options: Serve, parts: Parts, curve: CurveDoor | None, stack: ExitStack) -> None:
    context: Context = zmq.Context()
    stack.callback(context.destroy, 0)
    endpoints = []
    if options.zmq:
        host = f"[{options.host}]" if ":" in options.host else options.host
        endpoints.append(f"tcp://{host}:{options.zmq_port or '*'}")
    if options.ipc is not None:
        endpoints.append(f"ipc://{options.ipc.absolute()}")
    for endpoint in endpoints:
        # A Unix socket is this user's alone, and what goes through it leaves the machine nowhere.
        door = None if endpoint.startswith("ipc:") else curve
        if door is not None:
            door.open(context)
            parts.tasks.append(door.serve)
        router = Router(
            context,
            endpoint,
            message_bytes=parts.service.limits.message_bytes,
            guard=None if door is None else door.guard,
        )
        stack.callback(router.close)
        parts.fronts.append(ZmqFront(parts.service, router, known=None if door is None else door.clients.identity))
        secure = ", CURVE" if door is not None else ""
        parts.addresses.append((f"GR00T and unichunk clients{secure}", router.endpoint))
