"""A service from plain data: here, or in another process of a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from unichunk.server.serving.access import Access
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log
from unichunk.server.serving.metrics import NoMetrics
from unichunk.server.serving.rate_limits import Rate, TenantLimits
from unichunk.server.serving.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from unichunk.server.serving.access import Known
    from unichunk.server.serving.backend import Backend
    from unichunk.server.serving.logs import Level, LogFormat
    from unichunk.server.serving.metrics import Metrics

    Page = Callable[[], tuple[str, str]]

_BURST_S: Final = 2.0
"""How much may be sent at once after a pause: what is refilled in this time, [s]."""


@dataclass(frozen=True)
class ServiceSettings:
    """What a command line says of all fronts.

    Attributes:
        limits: What clients may do.
        keys: File of API keys; None where none are asked for.
        requests_per_s: Of each tenant; 0: as many as it likes.
        bytes_per_s: Of each tenant; 0: as many as it likes.
        log_format: How events are written.
        log_level: Which are.
        seed: Of the first client's noise.
    """

    limits: ClientLimits = field(default_factory=ClientLimits)
    keys: Path | None = None
    requests_per_s: float = 0.0
    bytes_per_s: float = 0.0
    log_format: LogFormat = "text"
    log_level: Level = "info"
    seed: int = 0

    def log(self) -> Log:
        """Where events go."""
        return Log(self.log_format, self.log_level)


def make_metrics() -> tuple[Metrics, Any]:
    """Metrics, and what has their page; where Prometheus's client is not installed, nobody could ask for one."""
    if find_spec("prometheus_client") is None:
        return NoMetrics(), None
    from unichunk.server.serving.prometheus_metrics import PrometheusMetrics  # noqa: PLC0415  (an extra)

    metrics = PrometheusMetrics()
    return metrics, metrics


def make_service(
    settings: ServiceSettings,
    backend: Backend,
    *,
    others: Sequence[Known] = (),
    log: Log | None = None,
    metrics: tuple[Metrics, Any] | None = None,
) -> tuple[Service, Page | None]:
    """A service, and the page of its metrics.

    Args:
        settings: Plain data.
        backend: Whatever infers.
        others: Who else knows people, such as the CURVE clients.
        log: Where events go; None: a new one.
        metrics: See `make_metrics`; None: new ones.

    Raises:
        UnichunkError: Where the key file cannot be used; one line.
    """
    counted, page = metrics or make_metrics()
    requests, sent = (_rate(per_s) for per_s in (settings.requests_per_s, settings.bytes_per_s))
    service = Service(
        backend,
        access=Access(None if settings.keys is None else KeyRing(settings.keys), others),
        limits=settings.limits,
        rates=TenantLimits(requests, sent),
        metrics=counted,
        log=log or settings.log(),
        seed=settings.seed,
    )
    if page is None:
        return service, None
    page.watch(service)
    return service, page.page


def _rate(per_s: float) -> Rate | None:
    return Rate(per_s, max(1.0, per_s * _BURST_S)) if per_s else None
