"""The requests of one policy, on their way through the queue to a worker and back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.admission import Capacity, Limits, Refusal
from unichunk.server.serving.alarm import Alarm
from unichunk.server.serving.backend import Expired, Load
from unichunk.server.serving.fair_queue import FairQueue
from unichunk.server.serving.seat import Request, Seat
from unichunk.server.serving.service_time import ServiceTime
from unichunk.server.serving.work import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.server.serving.backend import Caller
    from unichunk.server.serving.fair_queue import Taken
    from unichunk.server.serving.seat import Worker
    from unichunk.server.serving.watch import Watch
    from unichunk.server.serving.work import Work

_ENDLESS: Final = 1 << 60


class Dispatcher:
    """Takes requests in, gives them to workers, and answers them. For one event loop.

    A request whose worker dies goes to another one, once, before all others, and there it is the only one: if that
    worker dies too, it is known who did it, and nobody else's request is refused.

    Args:
        policy: The name under which it is served.
        limits: How much may wait, and how long.
        watch: Told what happens.
        retry_s: How long a request whose worker died waits for another one, [s].
    """

    def __init__(self, policy: str, limits: Limits, watch: Watch, *, retry_s: float) -> None:
        self._policy = policy
        self._watch = watch
        self._queue: FairQueue[Request] = FairQueue(limits)
        everything = Limits(
            waiting=_ENDLESS,
            per_tenant=_ENDLESS,
            per_client=_ENDLESS,
            waiting_bytes=_ENDLESS,
            tenant_bytes=_ENDLESS,
            patience_s=retry_s,
        )
        self._suspects: FairQueue[Request] = FairQueue(everything)
        self._seats: dict[Worker, Seat] = {}
        self._leaving: dict[Worker, Seat] = {}
        self._service = ServiceTime()
        self._tickets = 0
        self._alarm = Alarm(self._wake)
        self._closed = False

    async def answer(self, work: Work, caller: Caller, deadline_s: float | None) -> Answer:
        """See `Backend.answer`."""
        if self._closed:
            raise PolicyError("the server is ending")
        now_s = time.monotonic()
        request = Request(work, caller, deadline_s, asyncio.get_running_loop().create_future())
        ticket = self._queue.offer(
            now_s, request, caller, self._capacity(), size=len(work.payload), deadline_s=deadline_s
        )
        if isinstance(ticket, Refusal):
            self._watch.refused(self._policy, ticket.why.value)
            raise ticket.error()
        request.ticket = ticket
        self._watch.queued(self._policy, len(self._queue))
        self._dispatch(now_s)
        try:
            return await request.future
        except asyncio.CancelledError:
            self._abandon(request)
            raise

    def load(self) -> Load:
        """How busy it is."""
        return Load(
            waiting=len(self._queue) + len(self._suspects),
            running=sum(len(seat.running) for seat in self._everyone()),
            workers=len(self._seats),
            service_s=self._service.service_s,
        )

    def switch(self, workers: Iterable[Worker]) -> None:
        """From now on these workers get the requests, and no others; what others have, they finish."""
        self._leaving.update(self._seats)
        self._seats = {worker: Seat(worker) for worker in workers}
        self._service = ServiceTime(max((worker.description.service_s for worker in self._seats), default=0.0))
        self._dispatch(time.monotonic())

    def add(self, worker: Worker) -> None:
        """One more worker."""
        self._seats[worker] = Seat(worker)
        self._dispatch(time.monotonic())

    async def finished(self, worker: Worker) -> None:
        """Wait until a worker that gets nothing more has nothing to do, or is gone."""
        seat = self._leaving.get(worker)
        if seat is not None:
            await seat.idle.wait()
            self._leaving.pop(worker, None)

    def answered(self, worker: Worker, ticket: int, answer: Answer) -> None:
        """A worker answered a request."""
        seat = self._seats.get(worker) or self._leaving.get(worker)
        if seat is None:
            return
        now_s = time.monotonic()
        request = seat.take(now_s, ticket)
        if request is not None:
            if not answer.error:
                self._service.measured(answer.infer_s, answer.decode_s + answer.encode_s, answer.batch)
            if not request.future.done():
                self._settle(now_s, request, answer)
        self._dispatch(now_s)

    def lost(self, worker: Worker, reason: str) -> None:
        """A worker is gone: what it had goes to others, once."""
        seat = self._seats.pop(worker, None) or self._leaving.pop(worker, None)
        if seat is None:
            return
        now_s = time.monotonic()
        for request in seat.take_all():
            if request.suspect:
                line = f"two workers ended with this request, it is not tried again; the last one: {reason}"
                request.future.set_result(Answer(error=line))
            else:
                self._retry(now_s, request)
        self._dispatch(now_s)

    def look_for_hung(self, hang_s: float) -> None:
        """Kill workers that have something to do and did not answer anything for so long, [s]."""
        now_s = time.monotonic()
        for seat in self._everyone():
            if seat.running and now_s - seat.progress_s > hang_s:
                # Killed once: its death takes a moment to be heard of.
                seat.progress_s = now_s
                seat.worker.kill(
                    f"a worker of policy {self._policy!r} answered nothing for {hang_s:g} s and was killed"
                )

    def close(self) -> None:
        """Nothing is answered any more; whoever still waits is told so."""
        self._closed = True
        self._alarm.off()
        now_s = time.monotonic()
        requests = [taken.item for queue in (self._queue, self._suspects) for taken in queue.take(now_s, len(queue))]
        self._drop_expired(now_s)
        for request in (*requests, *(request for seat in self._everyone() for request in seat.take_all())):
            if not request.future.done():
                request.future.set_exception(PolicyError("the server is ending"))

    def _everyone(self) -> list[Seat]:
        return [*self._seats.values(), *self._leaving.values()]

    def _capacity(self) -> Capacity:
        return Capacity(
            workers=len(self._seats),
            running=sum(len(seat.running) for seat in self._seats.values()),
            each_s=self._service.each_s,
            service_s=self._service.service_s,
        )

    def _dispatch(self, now_s: float) -> None:
        """Give workers what they may have, and see to it that what is too late is told so in time."""
        self._drop_expired(now_s)
        if self._closed:
            return
        kept_free = self._dispatch_suspects(now_s)
        while len(self._queue):
            seats = [seat for seat in self._seats.values() if seat is not kept_free and seat.has_room]
            if not seats:
                break
            for taken in self._queue.take(now_s, 1):
                self._give(now_s, min(seats, key=lambda seat: len(seat.running)), taken)
        due = [due_s for queue in (self._queue, self._suspects) if (due_s := queue.next_deadline_s()) is not None]
        if due:
            self._alarm.by(now_s, min(due))

    def _dispatch_suspects(self, now_s: float) -> Seat | None:
        """Those come first, each to a worker that has nothing else.

        Returns:
            The worker that is next to have nothing and must get nothing else meanwhile, if any.
        """
        while len(self._suspects):
            seats = [seat for seat in self._seats.values() if not seat.alone]
            if not seats:
                break
            seat = min(seats, key=lambda seat: len(seat.running))
            if seat.running:
                return seat
            for taken in self._suspects.take(now_s, 1):
                self._give(now_s, seat, taken)
        return None

    def _give(self, now_s: float, seat: Seat, taken: Taken[Request]) -> None:
        self._tickets += 1
        seat.give(now_s, self._tickets, taken.item)
        self._watch.started(self._policy, taken.waited_s)

    def _retry(self, now_s: float, request: Request) -> None:
        request.suspect, request.seat = True, None
        nobody = Capacity(workers=0)
        ticket = self._suspects.offer(now_s, request, request.caller, nobody, deadline_s=request.deadline_s)
        if isinstance(ticket, Refusal):
            self._watch.expired(self._policy)
            request.future.set_exception(Expired("its worker ended, and its deadline passed before another was free"))
            return
        request.ticket = ticket
        self._watch.retried(self._policy)

    def _settle(self, now_s: float, request: Request, answer: Answer) -> None:
        if answer.fault == "late":
            request.future.set_exception(Expired(answer.error))
            self._watch.expired(self._policy)
        else:
            request.future.set_result(answer)
            self._watch.answered(self._policy, answer, now_s - request.began_s)

    def _abandon(self, request: Request) -> None:
        """Nobody waits for it."""
        self._watch.cancelled(self._policy)
        if request.seat is not None:
            # Until the worker says so, it keeps its place there: who asks and hangs up again and again must not pile
            # up more in a worker than others may.
            request.seat.worker.forget(request.ticket)
        else:
            (self._suspects if request.suspect else self._queue).cancel(request.ticket)

    def _drop_expired(self, now_s: float) -> None:
        for queue in (self._queue, self._suspects):
            for request in queue.expire(now_s):
                self._watch.expired(self._policy)
                if not request.future.done():
                    line = "no worker was free in time: the deadline or the server's patience has passed"
                    request.future.set_exception(Expired(line))

    def _wake(self) -> None:
        self._dispatch(time.monotonic())
