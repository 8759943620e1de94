"""Workers as requests are given to them: who has what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from unichunk.server.serving.backend import Caller
    from unichunk.server.serving.work import Answer, Description, Work


class Worker(Protocol):
    """What requests are given to. Nothing here waits or raises."""

    @property
    def description(self) -> Description:
        """What it has loaded."""
        ...

    def send(self, ticket: int, work: Work, deadline_s: float | None) -> None:
        """Give it a request, which it must not begin with after its deadline, `time.monotonic()`, [s]."""
        ...

    def forget(self, ticket: int) -> None:
        """Nobody waits for this one any more."""
        ...

    def kill(self, reason: str) -> None:
        """End it at once; its death is told as any other."""
        ...


@dataclass(eq=False)
class Request:
    """A request, from its arrival to its answer.

    Attributes:
        work: What is asked.
        caller: Who asks.
        deadline_s: When its answer is no use any more, [s]; None: it always is.
        future: Its answer.
        ticket: In the queue, or with the worker that has it.
        seat: The worker that has it; None while it waits.
        began_s: When it was given to a worker, [s].
        suspect: Whether a worker died with it.
    """

    work: Work
    caller: Caller
    deadline_s: float | None
    future: asyncio.Future[Answer]
    ticket: int = 0
    seat: Seat | None = None
    began_s: float = 0.0
    suspect: bool = False


@dataclass(eq=False)
class Seat:
    """A worker, and what it has.

    Attributes:
        worker: The worker.
        running: Ticket -> request.
        progress_s: When it last answered, or was given something to do, [s].
        idle: Set while it has nothing.
    """

    worker: Worker
    running: dict[int, Request] = field(default_factory=dict)
    progress_s: float = 0.0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    @property
    def alone(self) -> bool:
        """Whether it has a request that another worker died with, and must have no other."""
        return any(request.suspect for request in self.running.values())

    @property
    def has_room(self) -> bool:
        """Whether it may have one more: it has a batch that is inferred, and one that is decoded meanwhile."""
        return len(self.running) < 2 * self.worker.description.max_batch and not self.alone

    def give(self, now_s: float, ticket: int, request: Request) -> None:
        """Give it a request."""
        if not self.running:
            self.progress_s = now_s
        request.ticket, request.seat, request.began_s = ticket, self, now_s
        self.running[ticket] = request
        self.idle.clear()
        self.worker.send(ticket, request.work, request.deadline_s)

    def take(self, now_s: float, ticket: int) -> Request | None:
        """It has answered a request."""
        self.progress_s = now_s
        request = self.running.pop(ticket, None)
        if not self.running:
            self.idle.set()
        return request

    def take_all(self) -> list[Request]:
        """It has gone; what it had that somebody still waits for."""
        requests = [request for request in self.running.values() if not request.future.done()]
        self.running.clear()
        self.idle.set()
        return requests
