"""Policies in the replicas of a Ray cluster."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import PolicyError, UnichunkError
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.backend import SwapRefused, UnknownPolicy
from unichunk.server.serving.compatibility import misfit, successor
from unichunk.server.serving.ray_edition import Edition, newest
from unichunk.server.serving.ray_lane import Lane, OnOffer
from unichunk.server.serving.watch import NoWatch

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from unichunk.server.serving.backend import Caller, Load
    from unichunk.server.serving.ray_calls import Replicas
    from unichunk.server.serving.ray_edition import Editions
    from unichunk.server.serving.watch import Watch
    from unichunk.server.serving.work import Answer, Description, Work


@dataclass(frozen=True)
class ClusterTimes:
    """How long things may take in a cluster.

    Attributes:
        exchange_s: After this long every front has heard of a swap, [s].
        retire_s: After that long, what was swapped out gives back its memory, [s]: longer than `exchange_s`, so that no
            front asks for it any more.
    """

    exchange_s: float = 1.0
    retire_s: float = 10.0


class RayBackend:
    """Serves policies with the replicas of a Ray cluster, see `Backend`.

    There may be several of these at a time, one in each process that has a front. Each has its own queue, so fairness
    holds among the clients of one front. Of a swap at one of them the others hear within `exchange_s`.

    Args:
        replicas: The cluster.
        editions: What was served first; the first name is the default.
        limits: How much may wait for each policy at this front, and how long.
        watch: Told what happens.
        times: How long things may take.
    """

    def __init__(
        self,
        replicas: Replicas,
        editions: Editions,
        *,
        limits: Limits | None = None,
        watch: Watch | None = None,
        times: ClusterTimes | None = None,
    ) -> None:
        self._replicas = replicas
        self._editions = editions
        self._started_with = frozenset(edition.source.source for edition in editions.values())
        self._limits = limits or Limits()
        self._watch: Watch = watch or NoWatch()
        self._times = times or ClusterTimes()
        self._lanes: dict[str, Lane] = {}
        self._swapping: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def policies(self) -> Sequence[str]:
        """See `Backend`."""
        return tuple(self._editions)

    @property
    def retried(self) -> int:
        """How often a request was sent again because its replica had died."""
        return sum(lane.retried for lane in self._lanes.values())

    async def start(self) -> None:
        """See `Backend`; the replicas load, and say what they have."""
        await self._replicas.open()
        self._editions = newest(self._editions, await self._replicas.exchange(self._editions))
        for name, edition in self._editions.items():
            offer = OnOffer(edition, await self._load(edition))
            self._replicas.expect(edition, offer.description)
            self._lanes[name] = Lane(name, offer, self._replicas, self._limits, self._watch)
            self._swapping[name] = asyncio.Lock()
        self._keep(self._listen())

    def describe(self, policy: str) -> Description:
        """See `Backend`."""
        return self._of(policy).offer.description

    def load(self, policy: str) -> Load:
        """See `Backend`; the queue is this front's alone."""
        return self._of(policy).load()

    async def answer(self, policy: str, work: Work, caller: Caller, *, deadline_s: float | None = None) -> Answer:
        """See `Backend`."""
        return await self._of(policy).answer(work, caller, deadline_s)

    async def swap(self, policy: str, source: str, *, force: bool = False) -> Description:
        """See `Backend`; every replica loads the new one beside the old one, so for a while both are in memory."""
        lane = self._of(policy)
        if self._swapping[policy].locked():
            raise SwapRefused(f"policy {policy!r} is being replaced already: try again when that is over")
        async with self._swapping[policy]:
            old = lane.offer
            new = successor(old.edition.source, source, self._started_with)
            edition = Edition(source=new, number=old.edition.number + 1)
            try:
                description = await self._load(edition)
                reason = "" if force else misfit(source, old.description, description)
                if reason:
                    raise PolicyError(reason)
                await self._load_everywhere(edition, description)
                self._editions = await self._replicas.exchange(newest(self._editions, {policy: edition}))
            except UnichunkError as error:
                with contextlib.suppress(UnichunkError):
                    await self._replicas.retire(edition)
                raise SwapRefused(f"policy {policy!r} goes on as it was: {error}") from None
            self._take_over(lane, OnOffer(edition, description))
            return description

    async def close(self) -> None:
        """See `Backend`; replicas that others started go on."""
        for lane in self._lanes.values():
            lane.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._replicas.close()

    def _of(self, policy: str) -> Lane:
        try:
            return self._lanes[policy]
        except KeyError:
            raise UnknownPolicy(
                f"no policy {policy!r} is served here; served are {', '.join(self._lanes) or 'none'}"
            ) from None

    async def _load(self, edition: Edition) -> Description:
        loaded = await self._replicas.load(edition)
        if loaded.description is None:
            raise PolicyError(loaded.error)
        return loaded.description

    async def _load_everywhere(self, edition: Edition, description: Description) -> None:
        for loaded in await self._replicas.load_everywhere(edition):
            if loaded.description is None:
                raise PolicyError(loaded.error)
            if loaded.description.digest != description.digest:
                raise PolicyError(f"{edition.source.source} is not the same bundle on all machines")

    def _take_over(self, lane: Lane, offer: OnOffer) -> None:
        old = lane.offer
        self._replicas.expect(offer.edition, offer.description)
        unfinished = lane.switch(offer)
        self._keep(self._retire(old.edition, unfinished))

    async def _retire(self, edition: Edition, unfinished: list[asyncio.Task[None]]) -> None:
        await asyncio.sleep(self._times.retire_s)
        if unfinished:
            await asyncio.wait(unfinished)
        with contextlib.suppress(UnichunkError):
            await self._replicas.retire(edition)

    async def _listen(self) -> None:
        """Hear of swaps at other fronts, and tell of those at this one again, should it have been forgotten."""
        while True:
            await asyncio.sleep(self._times.exchange_s)
            try:
                self._editions = newest(self._editions, await self._replicas.exchange(self._editions))
                for name, lane in self._lanes.items():
                    edition = self._editions[name]
                    if lane.offer.edition != edition and not self._swapping[name].locked():
                        # Nobody swaps it meanwhile: this one would then take the place of what came later.
                        async with self._swapping[name]:
                            self._take_over(lane, OnOffer(edition, await self._load(edition)))
            except UnichunkError as error:
                # Whoever knows is being replaced; or the new one is gone already. What is served goes on.
                self._watch.restarted(self.policies[0], f"the cluster does not say what is served: {error}")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
