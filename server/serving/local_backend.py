"""Policies in worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy.engines.options import BUILD_S, CPU
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.backend import SwapRefused, UnknownPolicy
from unichunk.server.serving.compatibility import misfit, successor
from unichunk.server.serving.crew import Crew
from unichunk.server.serving.dispatcher import Dispatcher
from unichunk.server.serving.watch import NoWatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.serving.backend import Caller, Load
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.watch import Watch
    from unichunk.server.serving.work import Answer, Description, Work


@dataclass(frozen=True)
class WorkerTimes:
    """How long workers may take.

    Attributes:
        start_s: For loading and warming up a policy, [s].
        hang_s: Without any answer while they have something to do, before they are killed, [s].
        end_s: For ending, before they are killed, [s].
    """

    start_s: float = 300.0
    hang_s: float = 120.0
    end_s: float = 5.0


@dataclass(eq=False)
class _Served:
    dispatcher: Dispatcher
    crew: Crew
    swapping: asyncio.Lock


class LocalBackend:
    """Serves policies with worker processes, see `Backend`.

    Args:
        sources: Which policies, the default first; names differ.
        limits: How much may wait for each policy, and how long.
        watch: Told what happens.
        times: How long workers may take.
    """

    def __init__(
        self,
        sources: Sequence[PolicySource],
        *,
        limits: Limits | None = None,
        watch: Watch | None = None,
        times: WorkerTimes | None = None,
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._limits = limits or Limits()
        self._watch: Watch = watch or NoWatch()
        self._times = times or WorkerTimes()
        self._served: dict[str, _Served] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def policies(self) -> Sequence[str]:
        """See `Backend`."""
        return tuple(self._sources)

    async def start(self) -> None:
        """Load and warm up all policies, see `Backend`; where one cannot be loaded, no process is left."""
        try:
            for name, source in self._sources.items():
                retry_s = self._limits.patience_s + self._times.start_s
                dispatcher = Dispatcher(name, self._limits, self._watch, retry_s=retry_s)
                crew = self._crew(source, dispatcher)
                await crew.start()
                self._served[name] = _Served(dispatcher, crew, asyncio.Lock())
                dispatcher.switch(crew.workers)
        except BaseException:
            await self.close()
            raise
        self._looking = asyncio.ensure_future(self._look_for_hung())

    def describe(self, policy: str) -> Description:
        """See `Backend`."""
        return self._of(policy).crew.description

    def load(self, policy: str) -> Load:
        """See `Backend`."""
        return self._of(policy).dispatcher.load()

    async def answer(self, policy: str, work: Work, caller: Caller, *, deadline_s: float | None = None) -> Answer:
        """See `Backend`."""
        return await self._of(policy).dispatcher.answer(work, caller, deadline_s)

    async def swap(self, policy: str, source: str, *, force: bool = False) -> Description:
        """See `Backend`; the new workers are loaded beside the old ones, so for a while both are in memory."""
        served = self._of(policy)
        if served.swapping.locked():
            raise SwapRefused(f"policy {policy!r} is being replaced already: try again when that is over")
        new = successor(served.crew.source, source, [first.source for first in self._sources.values()])
        async with served.swapping:
            crew = self._crew(new, served.dispatcher)
            try:
                await crew.start()
            except (UnichunkError, OSError) as error:
                raise SwapRefused(f"policy {policy!r} goes on as it was: {error}") from None
            if self._closing:
                await crew.end()
                raise SwapRefused(f"policy {policy!r} was not replaced: the server is ending")
            reason = "" if force else misfit(source, served.crew.description, crew.description)
            if reason:
                await crew.end()
                raise SwapRefused(f"policy {policy!r} goes on as it was: {reason}")
            old, served.crew = served.crew, crew
            # At once: a worker of the old one that comes up only now would join the new ones.
            old.replace_no_more()
            served.dispatcher.switch(crew.workers)
            leaving = asyncio.ensure_future(old.leave())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            return crew.description

    async def close(self) -> None:
        """See `Backend`."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        for served in self._served.values():
            served.dispatcher.close()
        await asyncio.gather(*(served.crew.end() for served in self._served.values()), *self._leaving)

    def workers(self, policy: str) -> list[int]:
        """Processes that serve a policy."""
        return [worker.pid for worker in self._of(policy).crew.workers]

    def _of(self, policy: str) -> _Served:
        try:
            return self._served[policy]
        except KeyError:
            raise UnknownPolicy(
                f"no policy {policy!r} is served here; served are {', '.join(self._served) or 'none'}"
            ) from None

    def _crew(self, source: PolicySource, dispatcher: Dispatcher) -> Crew:
        start_s = self._times.start_s
        if source.engine != CPU.name:
            start_s = max(start_s, BUILD_S)
        return Crew(source, dispatcher, self._watch, start_s=start_s, end_s=self._times.end_s)

    async def _look_for_hung(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._times.hang_s / 4))
            for served in self._served.values():
                served.dispatcher.look_for_hung(self._times.hang_s)
