"""The workers of one loaded policy: started together, replaced when they die, ended together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import PolicyError, UnichunkError
from unichunk.server.serving.worker_client import start_worker

if TYPE_CHECKING:
    from unichunk.server.serving.dispatcher import Dispatcher
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.watch import Watch
    from unichunk.server.serving.work import Answer, Description
    from unichunk.server.serving.worker_client import WorkerClient

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 30.0


class Crew:
    """As many workers as the source says.

    Args:
        source: What they serve.
        dispatcher: Gives them requests; told who answered, who died and who is new.
        watch: Told of replacements.
        start_s: How long loading may take, [s].
        end_s: How long a worker may take to end before it is killed, [s].
    """

    def __init__(
        self, source: PolicySource, dispatcher: Dispatcher, watch: Watch, *, start_s: float, end_s: float
    ) -> None:
        self.source = source
        self.workers: list[WorkerClient] = []
        self._dispatcher = dispatcher
        self._watch = watch
        self._start_s = start_s
        self._end_s = end_s
        self._replacements: set[asyncio.Task[None]] = set()
        self._proven: set[WorkerClient] = set()
        self._in_vain = 0
        self._ending = False
        self._early_death = ""
        self._description: Description | None = None

    @property
    def description(self) -> Description:
        """What is loaded; after `start`."""
        assert self._description is not None
        return self._description

    async def start(self) -> None:
        """Start all workers; they get no requests before the dispatcher is told of them.

        Raises:
            UnichunkError: Where one does not come up; then none is left.
        """
        starting = [asyncio.ensure_future(self._start()) for _ in range(self.source.replicas)]
        try:
            self.workers = list(await asyncio.gather(*starting))
            if self._early_death:
                raise PolicyError(self._early_death)
        except BaseException:
            await self._abandon(starting)
            raise
        self._description = self.workers[0].description

    def replace_no_more(self) -> None:
        """From now on no worker joins those that there are; to be called before another crew takes over."""
        self._ending = True
        for task in self._replacements:
            task.cancel()

    async def leave(self) -> None:
        """Let the workers finish what they have, and end them; dead ones are not replaced any more."""
        self.replace_no_more()
        await asyncio.gather(*(self._dispatcher.finished(worker) for worker in self.workers))
        await self.end()

    async def end(self) -> None:
        """End the workers, whatever they are doing."""
        self.replace_no_more()
        await asyncio.gather(*self._replacements, return_exceptions=True)
        workers, self.workers = self.workers, []
        await asyncio.gather(*(worker.end(self._end_s) for worker in workers))

    def answered(self, worker: WorkerClient, ticket: int, answer: Answer) -> None:
        """See `WorkerEvents`."""
        if worker not in self._proven and not answer.error:
            self._proven.add(worker)
            self._in_vain = 0
        self._dispatcher.answered(worker, ticket, answer)

    def died(self, worker: WorkerClient, reason: str) -> None:
        """See `WorkerEvents`."""
        if self._description is None:
            # The others are still loading. That fails now: nobody waits for these workers yet.
            self._early_death = reason
            return
        if worker in self.workers:
            self.workers.remove(worker)
            self._watch.restarted(self.source.name, reason)
        if not self._ending:
            # One that answered anything is replaced at once, others after a pause that grows.
            if worker not in self._proven:
                self._in_vain += 1
            replacement = asyncio.ensure_future(self._replace())
            self._replacements.add(replacement)
            replacement.add_done_callback(self._replacements.discard)
        self._proven.discard(worker)
        self._dispatcher.lost(worker, reason)

    async def _start(self) -> WorkerClient:
        return await start_worker(self.source, self, start_s=self._start_s)

    async def _abandon(self, starting: list[asyncio.Task[WorkerClient]]) -> None:
        for task in starting:
            task.cancel()
        started = await asyncio.gather(*starting, return_exceptions=True)
        await asyncio.gather(*(worker.end(self._end_s) for worker in started if not isinstance(worker, BaseException)))

    async def _replace(self) -> None:
        while True:
            if self._in_vain > 1:
                await asyncio.sleep(min(_FIRST_PAUSE_S * 2 ** (self._in_vain - 2), _LONGEST_PAUSE_S))
            try:
                worker = await self._start()
            except (UnichunkError, OSError) as error:
                self._in_vain = max(2, self._in_vain + 1)
                self._watch.restarted(self.source.name, str(error))
                continue
            if self._ending:
                # Before Python 3.12, `wait_for` can miss that it was cancelled.
                await worker.end(self._end_s)
                return
            self.workers.append(worker)
            self._dispatcher.add(worker)
            return
