"""A server's metrics as Prometheus reads them; a registry of their own, nothing global."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.server.serving.metrics import Outcome, WorkerEvent
    from unichunk.server.serving.service import Service
    from unichunk.server.serving.work import Answer, Dialect

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STAGES: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)


class PrometheusMetrics:
    """Counts what happens; the state of queues and clients is read when somebody asks for the page."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("policy", "dialect")
        self._requests = Counter(
            "unichunk_requests", "Requests by what became of them", (*labels, "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "unichunk_request_seconds",
            "From a request's arrival to its answer",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._received = Counter("unichunk_received_bytes", "Bytes of requests", labels, registry=self.registry)
        self._sent = Counter("unichunk_sent_bytes", "Bytes of answers", labels, registry=self.registry)
        self._stage_seconds = Histogram(
            "unichunk_stage_seconds",
            "What a request waits (queue) and takes a worker: decode, infer (the whole batch), encode",
            ("policy", "stage"),
            buckets=_STAGES,
            registry=self.registry,
        )
        self._batch = Histogram(
            "unichunk_batch_requests",
            "Requests inferred together, as each of them sees it",
            ("policy",),
            buckets=_BATCHES,
            registry=self.registry,
        )
        self._turned_away = Counter(
            "unichunk_connections_refused", "Connections that were not taken in", ("why",), registry=self.registry
        )
        self._workers = Counter(
            "unichunk_worker_events",
            "Workers replaced (restarted), requests that went to another one (retried)",
            ("policy", "event"),
            registry=self.registry,
        )
        self._lag = Gauge(
            "unichunk_loop_lag_seconds", "How late the event loop was, the latest look", registry=self.registry
        )
        self._worst_lag = Gauge(
            "unichunk_loop_lag_worst_seconds", "How late the event loop was at worst", registry=self.registry
        )
        self._worst = 0.0
        # Looking a label up costs more than counting.
        self._of = lru_cache(maxsize=1024)(self._children)
        self._stages_of = lru_cache(maxsize=1024)(self._stages)

    def watch(self, service: Service) -> None:
        """Show a service's queues, clients and sessions on the page too."""
        self.registry.register(_State(service))

    def request(self, policy: str, dialect: Dialect, outcome: Outcome, took_s: float, received: int, sent: int) -> None:
        """See `Metrics`."""
        requests, seconds, bytes_in, bytes_out = self._of(policy, dialect, outcome)
        requests.inc()
        bytes_in.inc(received)
        bytes_out.inc(sent)
        if outcome == "answered":
            seconds.observe(took_s)

    def stages(self, policy: str, answer: Answer) -> None:
        """See `Metrics`."""
        decode, infer, encode, _, batch = self._stages_of(policy)
        decode.observe(answer.decode_s)
        infer.observe(answer.infer_s)
        encode.observe(answer.encode_s)
        batch.observe(answer.batch)

    def turned_away(self, why: Outcome) -> None:
        """See `Metrics`."""
        self._turned_away.labels(why).inc()

    def waited(self, policy: str, seconds: float) -> None:
        """See `Metrics`."""
        queue = self._stages_of(policy)[3]
        queue.observe(seconds)

    def worker(self, policy: str, what: WorkerEvent) -> None:
        """See `Metrics`."""
        self._workers.labels(policy, what).inc()

    def loop_lag(self, seconds: float) -> None:
        """See `Metrics`."""
        self._worst = max(self._worst, seconds)
        self._lag.set(seconds)
        self._worst_lag.set(self._worst)

    def page(self) -> tuple[str, str]:
        """The page's text, and its content type."""
        return generate_latest(self.registry).decode(), CONTENT_TYPE_LATEST

    def _stages(self, policy: str) -> tuple[Any, Any, Any, Any, Any]:
        decode, infer, encode, queue = (
            self._stage_seconds.labels(policy, stage) for stage in ("decode", "infer", "encode", "queue")
        )
        return decode, infer, encode, queue, self._batch.labels(policy)

    def _children(self, policy: str, dialect: str, outcome: str) -> tuple[Any, Any, Any, Any]:
        return (
            self._requests.labels(policy, dialect, outcome),
            self._seconds.labels(policy, dialect),
            self._received.labels(policy, dialect),
            self._sent.labels(policy, dialect),
        )


class _State:
    """What is the case right now."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        service, backend = self._service, self._service.backend
        loads = [(name, backend.load(name)) for name in backend.policies]
        for name, help_text in (
            ("waiting", "Requests in the queue"),
            ("running", "Requests that workers have"),
            ("workers", "Workers that are up"),
            ("service_s", "How long a request takes a worker lately, in seconds"),
        ):
            family = GaugeMetricFamily(
                f"unichunk_{name.replace('service_s', 'service_seconds')}", help_text, labels=["policy"]
            )
            for policy, load in loads:
                family.add_metric([policy], float(getattr(load, name)))
            yield family
        yield GaugeMetricFamily("unichunk_clients", "Connected clients", value=len(service.clients))
        yield GaugeMetricFamily("unichunk_sessions", "Lean sessions that are kept", value=len(service.sessions))
        yield GaugeMetricFamily(
            "unichunk_session_bytes", "Bytes of observations kept for them", value=service.sessions.held_bytes
        )
        yield GaugeMetricFamily("unichunk_in_flight", "Requests being answered", value=service.in_flight)
        yield GaugeMetricFamily("unichunk_draining", "1 while the server ends", value=float(service.draining))
