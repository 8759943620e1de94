"""A server from its first port to its last answer."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Final, Protocol

from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.server.serving.sd_notify import notify, watchdog_s
from unichunk.server.signals import REASONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from unichunk.server.serving.service import Service

LOOK_EVERY_S: Final = 0.5
"""How often the event loop is timed, and the keys are looked at, [s]."""


class Front(Protocol):
    """What clients connect to; its address is taken before anything is loaded."""

    async def start(self) -> None:
        """Take clients in."""
        ...

    async def stop(self) -> None:
        """Send them away."""
        ...


class Stop:
    """Set by whatever ends the server; the first reason counts, and a second signal ends the process at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason: ExitReason | None = None

    def ask(self, reason: ExitReason = ExitReason.TERMINATED) -> None:
        """End in good order."""
        if self.reason is None:
            self.reason = reason
            self._event.set()

    async def wait(self) -> None:
        """Wait until somebody asks."""
        await self._event.wait()

    def on_signals(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP (unless it is ignored, as by `nohup`) ask."""
        loop = asyncio.get_running_loop()
        for number, reason in REASONS.items():
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signal, number, reason)

    def _signal(self, number: int, reason: ExitReason) -> None:
        if self.reason is not None:
            # The workers' sockets close with this process, and they end.
            os._exit(128 + number)
        self.ask(reason)


async def serve(
    service: Service,
    fronts: Sequence[Front],
    stop: Stop,
    *,
    drain_timeout_s: float,
    ready: Callable[[], object] = lambda: None,
    tasks: Sequence[Callable[[], Awaitable[None]]] = (),
) -> int:
    """Load, serve, drain, end.

    Args:
        service: What is served.
        fronts: Their ports are theirs already; they take nobody in before the policies are warm.
        stop: Ends it.
        drain_timeout_s: How long requests that were begun may take once it ends, [s].
        ready: Called once clients are taken in.
        tasks: What runs beside it until it ends.

    Returns:
        The exit status: 0 where it ended as asked, otherwise as it was interrupted before it was ready.

    Raises:
        UnichunkError: Where a policy cannot be loaded; nothing is left running.
    """
    service.when_draining(stop.ask)
    loading = asyncio.ensure_future(service.backend.start())
    stopping = asyncio.ensure_future(stop.wait())
    beside: list[asyncio.Future[None]] = []
    try:
        await asyncio.wait([loading, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            assert stop.reason is not None
            return EXIT_STATUS[stop.reason]
        loading.result()
        for front in fronts:
            await front.start()
        beside = [asyncio.ensure_future(task()) for task in (lambda: _look(service), *tasks)]
        notify("READY=1")
        ready()
        await stopping
        notify("STOPPING=1")
        service.drain()
        began = time.monotonic()
        finished = await service.drained(drain_timeout_s)
        service.log.event(
            "info" if finished else "warning",
            "drained",
            seconds=time.monotonic() - began,
            given_up=service.in_flight,
        )
        return 0
    finally:
        for task in (loading, stopping, *beside):
            task.cancel()
        await asyncio.gather(loading, stopping, *beside, return_exceptions=True)
        for front in fronts:
            await front.stop()
        await service.backend.close()
        service.log.close()


async def _look(service: Service) -> None:
    """Time the event loop, tell systemd that it turns, and look whether the keys have changed."""
    patience_s = watchdog_s()
    every_s = LOOK_EVERY_S if patience_s is None else min(LOOK_EVERY_S, patience_s)
    while True:
        due = time.monotonic() + every_s
        await asyncio.sleep(every_s)
        service.metrics.loop_lag(max(0.0, time.monotonic() - due))
        service.look_at_keys()
        if patience_s is not None:
            notify("WATCHDOG=1")
