"""Builds a server's parts from what its command line says: each part's address is taken, nothing is loaded yet."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.access import Access
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log
from unichunk.server.serving.rate_limits import Rate, TenantLimits
from unichunk.server.serving.service import Service
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from unichunk.server.serve_command import Serve
    from unichunk.server.serving.backend import Backend
    from unichunk.server.serving.lifecycle import Front, Stop
    from unichunk.server.serving.metrics import Metrics
    from unichunk.server.serving.source import PolicySource

MIB: Final = 2**20
_BURST_S: Final = 2.0
_HTTP_NEEDS: Final = ("fastapi", "httptools", "prometheus_client", "uvicorn", "uvloop", "websockets")


@dataclass
class Parts:
    """A server, ready to be started.

    Attributes:
        service: What is served.
        fronts: What it listens on.
        addresses: The same for people: what for, and where.
        tasks: What runs beside it.
    """

    service: Service
    fronts: list[Front] = field(default_factory=list)
    addresses: list[tuple[str, str]] = field(default_factory=list)
    tasks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


def build(options: Serve, sources: Sequence[PolicySource], stop: Stop) -> Parts:
    """Build the parts; to be called in the event loop that they run in.

    Args:
        options: The command line, checked.
        sources: The policies.
        stop: Ends the server.

    Raises:
        UnichunkError: Where an address is taken, or a key file cannot be used; one line, and nothing is held.
    """
    log = Log(options.log_format, options.log_level)
    metrics: Any = None
    if options.http:
        missing = [name for name in _HTTP_NEEDS if find_spec(name) is None]
        if missing:
            raise UsageError(
                f"HTTP and WebSocket need {', '.join(missing)}: pip install 'unichunk[server]', or --no-http"
            )
        from unichunk.server.serving.prometheus_metrics import PrometheusMetrics  # noqa: PLC0415  (an extra)

        metrics = PrometheusMetrics()
    service = Service(
        _backend(options, sources),
        access=_access(options),
        limits=ClientLimits(message_bytes=round(options.max_message_mb * MIB)),
        rates=_rates(options),
        metrics=metrics,
        log=log,
        seed=options.seed,
    )
    parts = Parts(service)
    with ExitStack() as stack:
        if options.http:
            _add_http(options, parts, metrics, stack)
        stack.pop_all()
    return parts


def _backend(options: Serve, sources: Sequence[PolicySource]) -> Backend:
    from unichunk.server.serving.local_backend import LocalBackend  # noqa: PLC0415

    return LocalBackend(sources, limits=Limits(patience_s=options.patience))


def _access(options: Serve) -> Access:
    if options.keys is None:
        return Access()
    from unichunk.server.serving.api_keys import KeyRing  # noqa: PLC0415

    return Access(KeyRing(options.keys))


def _rates(options: Serve) -> TenantLimits:
    requests = Rate(options.requests_per_s, options.requests_per_s * _BURST_S) if options.requests_per_s else None
    sent = Rate(options.mb_per_s * MIB, options.mb_per_s * MIB * _BURST_S) if options.mb_per_s else None
    return TenantLimits(requests, sent)


def _add_http(options: Serve, parts: Parts, metrics: Any, stack: ExitStack) -> None:
    from unichunk.server.serving.app import build_app  # noqa: PLC0415  (an extra)
    from unichunk.server.serving.http_server import HttpServer, address_of, reserve  # noqa: PLC0415  (an extra)

    tls = None
    if options.tls_cert is not None and options.tls_key is not None:
        from unichunk.server.serving.tls import Tls, TlsFiles  # noqa: PLC0415

        tls = Tls(TlsFiles(options.tls_cert, options.tls_key)).context
    sockets = reserve(options.host, options.port)
    service = parts.service
    metrics.watch(service)
    app = build_app(service, metrics.page)
    parts.fronts.append(HttpServer(app, sockets, limits=service.limits, tls=tls, log=service.log))
    secure = "" if tls is None else "s"
    parts.addresses.append(("openpi and unichunk clients", f"ws{secure}://{address_of(sockets[0])}"))
    parts.addresses.append(("health, metrics, administration", f"http{secure}://{address_of(sockets[0])}"))
