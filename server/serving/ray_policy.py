"""A policy inside a replica of a Ray cluster: asked from an event loop, working in threads of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from unichunk.server.serving.load_policy import load_policy
from unichunk.server.serving.pipeline import Pipeline

if TYPE_CHECKING:
    from unichunk.server.serving.ray_edition import Edition
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.work import Answer, Description, Work

_CLOSE_S: Final = 10.0
"""How long what was begun may take before it is left behind, [s]."""


class Closed(Exception):
    """This one takes nothing more; load the policy again."""


class RayPolicy:
    """A policy and its pipeline: the next request is decoded while this one is inferred, as in a worker process.

    Args:
        source: What to load. That takes its time: not in an event loop.

    Raises:
        UnichunkError: Where it cannot be loaded; one line.
    """

    def __init__(self, source: PolicySource) -> None:
        policy = load_policy(source)
        self.description: Description = policy.describe()
        """What is loaded."""
        self._pipeline: Pipeline[Any, Any] = Pipeline(policy, self._done)
        self._decoding = ThreadPoolExecutor(1, "unichunk-decode")
        self._waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[Answer], float]] = {}
        self._entering = threading.Lock()
        self._tickets = 0
        self._closed = False

    async def answer(self, work: Work) -> Answer:
        """Answer a request; cancelling gives it up.

        Raises:
            Closed: Where it was closed before.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._entering:
            if self._closed:
                raise Closed
            self._tickets += 1
            ticket = self._tickets
            self._waiting[ticket] = (loop, future, time.monotonic())
            self._decoding.submit(self._decode, ticket, work)
        try:
            return await future
        finally:
            if self._waiting.pop(ticket, None) is not None:
                self._pipeline.cancel(ticket)

    def oldest_s(self) -> float:
        """How long the request has been here that is here the longest, [s]."""
        began = [began_s for _, _, began_s in list(self._waiting.values())]
        return time.monotonic() - min(began) if began else 0.0

    def close(self) -> None:
        """Answer what was begun, then let go of everything. Blocks; again does nothing."""
        with self._entering:
            if self._closed:
                return
            self._closed = True
        until_s = time.monotonic() + _CLOSE_S
        while self._waiting and time.monotonic() < until_s:
            time.sleep(0.01)
        self._decoding.shutdown(wait=False)
        if not self._waiting:
            self._pipeline.close()

    def _decode(self, ticket: int, work: Work) -> None:
        if ticket in self._waiting:
            self._pipeline.submit(ticket, work)
            if ticket not in self._waiting:
                # Answered already, or given up while it was being decoded.
                self._pipeline.cancel(ticket)

    def _done(self, ticket: int, answer: Answer) -> None:
        waiting = self._waiting.pop(ticket, None)
        if waiting is not None:
            loop, future, _ = waiting
            # The loop of a replica that ends is gone, and with it whoever waited.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, answer)


class Place:
    """A place for one edition in a replica; Ray keeps a few of them, and drops what was used the longest ago.

    What is retired gives its memory back at once and is loaded again if somebody asks for it all the same: a front
    that has not heard of a swap yet.

    Args:
        edition: What belongs here.
    """

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self._policy: RayPolicy | None = None
        self._loading = asyncio.Lock()

    async def policy(self) -> RayPolicy:
        """The policy, loaded.

        Raises:
            UnichunkError: Where it cannot be loaded; one line.
        """
        async with self._loading:
            if self._policy is None:
                self._policy = await asyncio.to_thread(RayPolicy, self.edition.source)
            return self._policy

    @property
    def loaded(self) -> bool:
        """Whether it holds anything at the moment."""
        return self._policy is not None

    def oldest_s(self) -> float:
        """See `RayPolicy`."""
        return 0.0 if self._policy is None else self._policy.oldest_s()

    def close(self) -> None:
        """Give back what it holds. Blocks until what was begun is answered."""
        policy, self._policy = self._policy, None
        if policy is not None:
            policy.close()

    def __del__(self) -> None:
        # This is how Ray's multiplexing tells a model to go: it calls this in a thread of its own.
        self.close()


def _settle(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
