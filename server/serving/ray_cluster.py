"""A Ray cluster with policies in it: found or started, given replicas, and left as it was found."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import PolicyError, UnichunkError
from unichunk.server.serving.ray_edition import first_editions, pack
from unichunk.server.serving.ray_extra import QUIET, hush, ray, serve
from unichunk.server.serving.ray_names import Names
from unichunk.server.serving.ray_options import LOCAL
from unichunk.server.serving.ray_replica import PolicyReplica
from unichunk.server.serving.ray_replicas import ServeReplicas, called
from unichunk.server.serving.ray_router import ROUTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.serving.ray_options import RayOptions
    from unichunk.server.serving.source import PolicySource

APP: Final = "unichunk-policies"
REPLICAS: Final = "replicas"
NAMES: Final = "names"
"""What the deployments are called in Ray's own lists."""

_RAY_ERRORS: Final = (ray.exceptions.RayError, serve.exceptions.RayServeException)
_LOOK_S: Final = 0.1
_END_S: Final = 5.0
_STARTS: Final = 2
_TELL_S: Final = 1.0
"""So often a replica says what it has loaded, [s]."""


class ClusterReplicas(ServeReplicas):
    """The replicas of a cluster that is there as long as these are open.

    Args:
        cluster: Not started yet.
    """

    def __init__(self, cluster: RayCluster) -> None:
        super().__init__(APP, REPLICAS, NAMES)
        self._cluster = cluster

    async def open(self) -> None:
        """Start the cluster, see `RayCluster.start`."""
        await self._cluster.start()
        await super().open()

    async def close(self) -> None:
        """Leave the cluster as it was found."""
        await super().close()
        await self._cluster.stop()


class RayCluster:
    """A cluster with replicas of the policies in it.

    Who can speak to Ray can run anything, and Ray listens on all interfaces, whatever it is told. A cluster that is
    started here wants a token that only its own processes know; one that is found has to see to that itself
    (`RAY_AUTH_MODE=token`). It also needs this package on all machines, and the bundles at the same place on all of
    them.

    Args:
        options: How it shall be used.
        sources: The policies, the default first.
        http: Where Ray's proxies listen, see `HTTPOptions` of Ray Serve; None: nowhere.
    """

    def __init__(
        self, options: RayOptions, sources: Sequence[PolicySource], *, http: dict[str, Any] | None = None
    ) -> None:
        self.options = options
        self.editions = first_editions(sources)
        """What is served first."""
        self._http = http
        self._folder: str | None = None
        self._apps: list[str] = []

    async def start(self) -> None:
        """Find or start the cluster, and start the replicas; they are warm when this is over.

        Raises:
            UnichunkError: Where that does not work; one line, and nothing is left.
        """
        try:
            await asyncio.to_thread(self._start)
            _take_signals_back()
            most = self.options.policies or len(self.editions)
            names = deployment(Names, NAMES, cpus=0, most_ongoing=1000).bind(pack(self.editions))
            replicas = self._replicas(most).bind(pack(self.editions), most, names)
            await self.run(APP, replicas, None)
        except BaseException:
            await self.stop()
            raise

    async def run(self, app: str, target: Any, route: str | None) -> None:
        """Start an application, and wait until it is up.

        Args:
            app: What it is called.
            target: Its first deployment, bound.
            route: Where Ray's proxies offer it; None: nowhere.

        Raises:
            PolicyError: Where it does not come up.
        """
        self._apps.append(app)
        wanted = serve.RunTarget(target=target, name=app, route_prefix=route)
        await asyncio.to_thread(serve.run_many, [wanted], wait_for_applications_running=False)
        until_s = time.monotonic() + self.options.start_s
        while True:
            status = (await asyncio.to_thread(serve.status)).applications[app]
            if status.status == "RUNNING":
                return
            if status.status == "DEPLOY_FAILED":
                raise PolicyError(await self._why(status))
            if time.monotonic() > until_s:
                raise PolicyError(
                    f"the replicas were not up within {self.options.start_s:g} s: {_places(status, self.options)}"
                )
            await asyncio.sleep(_LOOK_S)

    def runs(self, app: str) -> bool:
        """Whether an application was started here, and not ended."""
        return app in self._apps

    async def delete(self, app: str) -> None:
        """End an application."""
        if app in self._apps:
            self._apps.remove(app)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(asyncio.to_thread(serve.delete, app), _END_S)

    async def stop(self) -> None:
        """End what was started; again does nothing."""
        if ray.is_initialized():
            if not self.options.is_local:
                for app in reversed(list(self._apps)):
                    await self.delete(app)
            await asyncio.to_thread(ray.shutdown)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> None:
        hush()
        try:
            if self.options.is_local:
                self._start_local()
            else:
                ray.init(address=self.options.address, log_to_driver=False, logging_level=logging.ERROR)
            where = {"proxy_location": "Disabled"} if self._http is None else {"http_options": self._http}
            serve.start(logging_config=QUIET, **where)
            served = serve.status().applications
        except (*_RAY_ERRORS, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise UnichunkError(f"no Ray cluster at {self.options.address!r}: {_line(error)}") from None
        if APP in served:
            raise UnichunkError(
                f"the Ray cluster at {self.options.address!r} serves {APP!r} already: end that one first"
            )

    def _start_local(self) -> None:
        # Ray asks for a token in a cluster that it starts like this; without one given it would keep it in a file. It
        # reads it once in a process.
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Not where Ray keeps it by default: everybody may write there. The path has to be short, for its sockets.
        self._folder = tempfile.mkdtemp(prefix="ray-")
        wanted = self.options.most_replicas
        ray.init(
            address=LOCAL,
            num_cpus=max(os.cpu_count() or 1, round(self.options.cpus * wanted + 0.5)),
            include_dashboard=False,
            object_store_memory=self.options.memory_mb * 2**20,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=self._folder,
        )

    def _replicas(self, most: int) -> Any:
        options = self.options
        many: dict[str, Any] = {"num_replicas": options.replicas}
        if options.most_replicas > options.replicas:
            many = {
                "autoscaling_config": {
                    "min_replicas": options.replicas,
                    "max_replicas": options.most_replicas,
                    "target_ongoing_requests": options.busy,
                    "upscale_delay_s": 3.0,
                    "downscale_delay_s": 120.0,
                    # Longer than the ten seconds between two reports.
                    "look_back_period_s": 15.0,
                }
            }
        # Fronts send no more than they think right for what is loaded; this bound is for many fronts at a time.
        ongoing = 4 * sum(edition.source.max_batch for edition in self.editions.values())
        return deployment(
            PolicyReplica,
            REPLICAS,
            cpus=options.cpus,
            gpus=options.gpus,
            most_ongoing=ongoing,
            request_router_config={
                "request_router_class": ROUTER,
                "request_router_kwargs": {"everywhere": most >= len(self.editions)},
                "request_routing_stats_period_s": _TELL_S,
            },
            **many,
        )

    async def _why(self, status: Any) -> str:
        """Why an application did not come up: what a replica said, or the end of what Ray says."""
        reasons: list[str] = []
        # Where nothing is heard of them, Ray's own words have to do.
        with contextlib.suppress(UnichunkError, asyncio.TimeoutError):
            handle = serve.get_deployment_handle(NAMES, APP).options(_by_reference=False)
            reasons = await asyncio.wait_for(called(handle.failures), _END_S)
        if reasons:
            return reasons[-1]
        messages = [deployment.message for deployment in status.deployments.values() if deployment.message]
        lines = [line.strip() for line in "\n".join([*messages, status.message]).splitlines() if line.strip()]
        return f"the replicas could not be started: {lines[-1] if lines else 'Ray does not say why'}"


def deployment(kind: type, name: str, *, cpus: float, most_ongoing: int, gpus: float = 0.0, **more: Any) -> Any:
    """A deployment of Ray Serve, with what is the same for all of ours."""
    return serve.deployment(
        kind,
        name=name,
        max_ongoing_requests=most_ongoing,
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        max_constructor_retry_count=_STARTS,
        health_check_period_s=1.0,
        health_check_timeout_s=30.0,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=20.0,
        logging_config=QUIET,
        **more,
    )


def _take_signals_back() -> None:
    """Give signals to whoever had them before Ray came.

    Ray takes SIGTERM for a crash: it prints a stack trace, and aborts the process three seconds later.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)
                signal.siginterrupt(number, False)  # noqa: FBT003  (its own signature)


def _places(status: Any, options: RayOptions) -> str:
    """Where replicas that are not up are stuck, as far as Ray tells."""
    replicas = status.deployments.get(REPLICAS)
    states = {} if replicas is None else dict(replicas.replica_states)
    said = ", ".join(
        f"{count} {str(getattr(state, 'value', state)).lower()}" for state, count in states.items() if count
    )
    return (
        f"{said or 'none was started'}; each needs {options.cpus:g} CPUs and {options.gpus:g} GPUs of the cluster's, "
        "and time to load"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
