"""The requests of one policy on their way through the queue to the replicas of a Ray cluster and back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.admission import Capacity, Refusal
from unichunk.server.serving.alarm import Alarm
from unichunk.server.serving.backend import Expired, Load
from unichunk.server.serving.fair_queue import FairQueue
from unichunk.server.serving.faults import answer_to
from unichunk.server.serving.ray_calls import ReplicaLost
from unichunk.server.serving.service_time import ServiceTime
from unichunk.server.serving.work import Answer

if TYPE_CHECKING:
    from unichunk.server.serving.admission import Limits
    from unichunk.server.serving.backend import Caller
    from unichunk.server.serving.ray_calls import Replicas, Reply
    from unichunk.server.serving.ray_edition import Edition
    from unichunk.server.serving.watch import Watch
    from unichunk.server.serving.work import Description, Work

PAUSES_S: Final = (0.0, 0.25)
"""Before a request whose replica died is given to another one, and again, [s]; then it is given up."""


@dataclass(frozen=True)
class OnOffer:
    """What is served.

    Attributes:
        edition: Which.
        description: What it is.
    """

    edition: Edition
    description: Description


@dataclass(eq=False)
class _Request:
    work: Work
    caller: Caller
    deadline_s: float | None
    future: asyncio.Future[Answer]
    running: asyncio.Task[None] | None = None


class Lane:
    """Takes requests in, fairly and no more than will be answered in time; sends them, and again if need be.

    Only as many are on their way as the replicas can work on: the others wait here, where they can be put in a fair
    order, expire, and be taken back. Ray sees the replicas fully loaded all the same, and scales by that.

    A request whose replica dies is sent to another one, twice at most, the second time with no other one of its kind: a
    request that kills replicas must not take others along.

    Args:
        policy: The name under which it is served.
        offer: What is served.
        replicas: The cluster.
        limits: How much may wait, and how long.
        watch: Told what happens.
    """

    def __init__(self, policy: str, offer: OnOffer, replicas: Replicas, limits: Limits, watch: Watch) -> None:
        self.offer = offer
        """What is served; a request is answered by what was served when it left the queue."""
        self.retried = 0
        """How often a request was sent again."""
        self._policy = policy
        self._replicas = replicas
        self._watch = watch
        self._queue: FairQueue[_Request] = FairQueue(limits)
        self._service = ServiceTime(offer.description.service_s)
        self._running: set[_Request] = set()
        self._alone = asyncio.Lock()
        self._alarm = Alarm(self._send)
        self._closed = False

    async def answer(self, work: Work, caller: Caller, deadline_s: float | None) -> Answer:
        """See `Backend.answer`."""
        if self._closed:
            raise PolicyError("the server is ending")
        now_s = time.monotonic()
        request = _Request(work, caller, deadline_s, asyncio.get_running_loop().create_future())
        ticket = self._queue.offer(
            now_s, request, caller, self._capacity(), size=len(work.payload), deadline_s=deadline_s
        )
        if isinstance(ticket, Refusal):
            self._watch.refused(self._policy, ticket.why.value)
            raise ticket.error()
        self._watch.queued(self._policy, len(self._queue))
        self._send()
        try:
            return await request.future
        except asyncio.CancelledError:
            self._watch.cancelled(self._policy)
            self._queue.cancel(ticket)
            if request.running is not None:
                request.running.cancel()
            raise

    def load(self) -> Load:
        """How busy it is; `running` are this front's, `workers` the whole cluster's."""
        return Load(
            waiting=len(self._queue),
            running=len(self._running),
            workers=self._replicas.count,
            service_s=self._service.service_s,
        )

    def switch(self, offer: OnOffer) -> list[asyncio.Task[None]]:
        """From now on this is served.

        Returns:
            What is on its way with what was served before.
        """
        before = [request.running for request in self._running if request.running is not None]
        self.offer = offer
        self._service = ServiceTime(offer.description.service_s)
        self._send()
        return before

    def close(self) -> None:
        """Nothing is answered any more; whoever still waits is told so."""
        self._closed = True
        self._alarm.off()
        waiting = [taken.item for taken in self._queue.take(time.monotonic(), len(self._queue))]
        for request in (*waiting, *self._running):
            if request.running is not None:
                request.running.cancel()
            if not request.future.done():
                request.future.set_exception(PolicyError("the server is ending"))

    def _most(self) -> int:
        """So many may be on their way: of each replica a batch that is inferred, and one that is decoded meanwhile."""
        return 2 * self.offer.description.max_batch * max(1, self._replicas.count)

    def _capacity(self) -> Capacity:
        return Capacity(
            workers=self._replicas.count,
            running=len(self._running),
            each_s=self._service.each_s,
            service_s=self._service.service_s,
        )

    def _send(self) -> None:
        """Send what may be sent, drop what is too late, and come back when the next one would be."""
        now_s = time.monotonic()
        if not self._closed:
            for taken in self._queue.take(now_s, max(0, self._most() - len(self._running))):
                request = taken.item
                self._watch.started(self._policy, taken.waited_s)
                self._running.add(request)
                request.running = asyncio.ensure_future(self._run(request))
        for request in self._queue.expire(now_s):
            self._expired(request, "no replica was free in time: the deadline or the server's patience has passed")
        next_s = self._queue.next_deadline_s()
        if next_s is not None and not self._closed:
            self._alarm.by(now_s, next_s)

    async def _run(self, request: _Request) -> None:
        began_s = time.monotonic()
        try:
            answer = await self._answer(request)
            if not answer.error:
                self._service.measured(answer.infer_s, answer.decode_s + answer.encode_s, answer.batch)
            self._watch.answered(self._policy, answer, time.monotonic() - began_s)
            if not request.future.done():
                request.future.set_result(answer)
        except Expired as error:
            self._expired(request, str(error))
        except Exception as error:  # noqa: BLE001  whatever it is, somebody waits for an answer
            if not request.future.done():
                request.future.set_result(answer_to(error))
        finally:
            self._running.discard(request)
            self._send()

    async def _answer(self, request: _Request) -> Answer:
        offer = self.offer
        reason = ""
        for attempt in range(1 + len(PAUSES_S)):
            if attempt:
                await asyncio.sleep(PAUSES_S[attempt - 1])
                if request.deadline_s is not None and time.monotonic() >= request.deadline_s:
                    raise Expired("its replica ended, and its deadline passed before another one had it")
                self.retried += 1
                self._watch.retried(self._policy)
            try:
                if attempt < len(PAUSES_S):
                    return _checked(await self._once(offer, request), offer)
                async with self._alone:
                    return _checked(await self._once(offer, request), offer)
            except ReplicaLost as lost:
                reason = str(lost)
                self._watch.restarted(self._policy, f"a replica ended: {reason}")
        raise PolicyError(
            f"{1 + len(PAUSES_S)} replicas ended with this request, it is not tried again; the last one: {reason}"
        )

    async def _once(self, offer: OnOffer, request: _Request) -> Reply:
        return await self._replicas.answer(offer.edition, request.work, request.caller.client)

    def _expired(self, request: _Request, why: str) -> None:
        self._watch.expired(self._policy)
        if not request.future.done():
            request.future.set_exception(Expired(why))


def _checked(reply: Reply, offer: OnOffer) -> Answer:
    if reply.answer.error or reply.digest == offer.description.digest:
        return reply.answer
    # Another normalization would move the robot elsewhere.
    return Answer(
        error=f"replica {reply.replica} has loaded other weights than its clients were told of: was "
        f"{offer.edition.source.source} changed meanwhile? swap it in with `unichunk swap`",
        fault="bundle",
    )
