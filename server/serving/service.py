"""What all fronts of a server share: who may come in, what is served, requests and their ends, ending in good order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from unichunk.server.serving.access import Access
from unichunk.server.serving.backend import Busy, Expired, UnknownPolicy
from unichunk.server.serving.clients import Client, Clients
from unichunk.server.serving.identity import Right
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log
from unichunk.server.serving.metrics import NoMetrics, Outcome
from unichunk.server.serving.rate_limits import FailedAttempts, TenantLimits
from unichunk.server.serving.refusals import Ending, KeyRefused, NotAllowed, TooFast, UnknownRobot
from unichunk.server.serving.session import Sessions
from unichunk.server.serving.time_limit import time_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.serving.backend import Backend
    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.logs import Level
    from unichunk.server.serving.metrics import Metrics
    from unichunk.server.serving.work import Answer, Description, Work


class Service:
    """The server behind its fronts. One event loop calls all of it, and nothing in it waits but where it says `await`.

    Args:
        backend: Whatever infers.
        access: Who somebody is; by default no keys are asked for.
        limits: What clients may do.
        rates: Requests and bytes per second of each tenant; None: as many as they like.
        metrics: Where to count.
        log: Where to say what happens.
        seed: Of the first client's noise; the next ones' follow.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        access: Access | None = None,
        limits: ClientLimits | None = None,
        rates: TenantLimits | None = None,
        metrics: Metrics | None = None,
        log: Log | None = None,
        seed: int = 0,
    ) -> None:
        self.backend = backend
        self.access = access or Access()
        self.limits = limits or ClientLimits()
        self.metrics: Metrics = metrics or NoMetrics()
        self.log = log or Log()
        self.clients = Clients(self.limits, seed)
        self.sessions = Sessions(self.limits)
        self._failed = FailedAttempts()
        self._rates = TenantLimits(None, None) if rates is None else rates
        self._draining = False
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_drain: list[Callable[[], object]] = []
        self._troubles: list[str] = []

    @property
    def draining(self) -> bool:
        """Whether the server is ending."""
        return self._draining

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return self._in_flight

    def ready(self) -> str:
        """Why no request could be answered now, a few words that anybody may read; empty where all is well."""
        if self._draining:
            return "draining"
        waits = any(not self.backend.load(name).workers for name in self.backend.policies)
        return "a policy has no worker" if waits else ""

    def look_at_keys(self) -> None:
        """Say where a list of keys has changed and cannot be used, or can again; to be called now and then."""
        troubles = self.access.troubles()
        for why in troubles:
            if why not in self._troubles:
                self.log.event("error", "keys not renewed", why=why)
        if self._troubles and not troubles:
            self.log.event("info", "keys renewed")
        self._troubles = troubles

    def identify(self, token: str | None, address: str) -> Identity:
        """Whose token this is.

        Args:
            token: What the client sent; None where nothing came.
            address: Where it is, without the port.

        Raises:
            KeyRefused: Where keys are asked for and this is none.
        """
        try:
            return self.access.identify(token)
        except KeyRefused as error:
            self.metrics.turned_away("key")
            # Somebody who tries keys all day does not fill the log.
            if not self._failed.failed(address, time.monotonic()):
                self.log.event("warning", "turned away", address=address, why=str(error), key=token is not None)
            raise

    def enter(self, front: str, identity: Identity, address: str) -> Client:
        """Take in a connection.

        Args:
            front: What it came by: `ws`, `zmq`.
            identity: Who it is.
            address: Where it is, without the port.

        Raises:
            KeyRefused, NotAllowed: Where its key is for something else.
            Busy: Where all places are taken.
            Ending: Where the server ends.
        """
        try:
            if self._draining:
                raise Ending
            self.access.check(identity, Right.INFER)
            client = self.clients.enter(front, self.access.tenant(identity, address), identity, address)
        except (KeyRefused, NotAllowed, Busy, Ending) as error:
            self.metrics.turned_away(outcome_of(error))
            self.log.event("warning", "turned away", front=front, address=address, why=str(error))
            raise
        self.log.event("info", "connected", client=client.name, tenant=client.tenant, address=address)
        return client

    def leave(self, client: Client) -> None:
        """A connection is over; again does nothing."""
        if self.clients.leave(client):
            self.log.event("info", "disconnected", client=client.name, tenant=client.tenant)

    def policy(self, name: str) -> tuple[str, Description]:
        """What is served under a name.

        Args:
            name: Empty: the default.

        Returns:
            The name, and what is loaded under it right now.

        Raises:
            UnknownPolicy: Where nothing is.
        """
        name = name or self.backend.policies[0]
        if name not in self.backend.policies:
            raise UnknownPolicy(f"no policy {name[:100]!r} is served; there are {', '.join(self.backend.policies)}")
        return name, self.backend.describe(name)

    def robot(self, name: str, description: Description) -> str:
        """The robot of this name.

        Args:
            name: Empty: the policy's first.
            description: The policy.

        Raises:
            UnknownRobot: Where the policy does not drive it.
        """
        if not name:
            return next(iter(description.robots), "")
        if name not in description.robots:
            drives = ", ".join(description.robots) or "whatever its Python factory says, no robots by name"
            raise UnknownRobot(f"{description.name} does not drive {name[:100]!r}; it drives {drives}")
        return name

    async def infer(self, client: Client, policy: str, work: Work, *, within_s: float | None = None) -> Answer:
        """Answer one request. Cancelling gives it up.

        Args:
            client: Who asks.
            policy: The name under which it is served.
            work: The request.
            within_s: After this long its answer is no use, [s].

        Returns:
            The answer, or whose fault it is that there is none.

        Raises:
            KeyRefused, NotAllowed, TooFast, Ending, UnknownPolicy, Busy, Expired: Where no worker began with it, or
                none came to an end.
        """
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        outcome: Outcome = "failed"
        sent = 0
        self._in_flight += 1
        self._idle.clear()
        try:
            self._check(client, work, began)
            deadline_s = None if within_s is None else began + within_s
            async with time_limit(self.limits.answer_s) as limit:
                answer = await self.backend.answer(policy, work, client.caller, deadline_s=deadline_s)
            if limit.passed:
                raise Expired(f"no answer within {self.limits.answer_s:g} s")
            outcome, sent = ("refused" if answer.error else "answered"), len(answer.payload)
            # Counted once the answer is on its way.
            loop.call_soon(self.metrics.stages, policy, answer)
            return answer
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except (KeyRefused, NotAllowed, TooFast, Ending, UnknownPolicy, Busy, Expired) as error:
            outcome = outcome_of(error)
            raise
        finally:
            took_s = time.monotonic() - began
            size = len(work.payload)
            loop.call_soon(self.metrics.request, policy, work.dialect, outcome, took_s, size, sent)
            self._log_request(client, policy, work, outcome, took_s)
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    def no_chunk(self, client: Client, answer: Answer) -> None:
        """Log why a worker answered a request with an error."""
        self.log.event("warning", "no chunk", client=client.name, fault=answer.fault, why=answer.error)

    async def swap(self, identity: Identity, policy: str, source: str, *, force: bool = False) -> Description:
        """Replace a policy, see `Backend.swap`.

        Raises:
            KeyRefused, NotAllowed: Where this one may not.
            SwapRefused, UnknownPolicy: Where it was not replaced.
        """
        self.access.check(identity, Right.ADMINISTER)
        self.log.event("info", "swap begins", policy=policy, source=source, by=identity.id)
        description = await self.backend.swap(policy, source, force=force)
        self.log.event("info", "swapped", policy=policy, source=source, by=identity.id, digest=description.digest)
        return description

    def drain(self, identity: Identity | None = None) -> None:
        """Begin to end: nobody new is taken in, and everybody who is there is told. Again does nothing.

        Args:
            identity: Who asks for it; None: this machine's own signals.

        Raises:
            KeyRefused, NotAllowed: Where this one may not.
        """
        if identity is not None:
            self.access.check(identity, Right.ADMINISTER)
        if self._draining:
            return
        self._draining = True
        by = "signal" if identity is None else identity.id
        self.log.event("info", "draining", by=by, clients=len(self.clients), in_flight=self._in_flight)
        for tell in [*self._on_drain, *(client.ending for client in self.clients)]:
            if tell is not None:
                tell()

    def when_draining(self, tell: Callable[[], object]) -> None:
        """Call this once the server begins to end."""
        self._on_drain.append(tell)

    async def drained(self, timeout_s: float) -> bool:
        """Wait until nothing is being answered any more.

        Args:
            timeout_s: At most so long, [s].

        Returns:
            Whether it is so.
        """
        async with time_limit(timeout_s):
            await self._idle.wait()
        return not self._in_flight

    def _check(self, client: Client, work: Work, now: float) -> None:
        self.access.check(client.identity, Right.INFER)
        if self._draining:
            raise Ending
        wait_s = self._rates.take(client.tenant, len(work.payload), now)
        if wait_s > 0:
            raise TooFast(f"{client.tenant} sends more than it may: ask again in {wait_s:.2g} s", wait_s)

    def _log_request(self, client: Client, policy: str, work: Work, outcome: Outcome, took_s: float) -> None:
        level: Level = "warning" if outcome == "failed" else "debug"
        if self.log.wants(level):
            self.log.event(
                level,
                "request",
                client=client.name,
                policy=policy,
                dialect=work.dialect,
                seed="/".join(map(str, work.seed)),
                outcome=outcome,
                ms=took_s * 1e3,
                bytes=len(work.payload),
            )


def outcome_of(error: Exception) -> Outcome:
    """How a request that was not taken in, or was given up, is counted."""
    if isinstance(error, KeyRefused | NotAllowed):
        return "key"
    if isinstance(error, TooFast):
        return "rate"
    if isinstance(error, Busy):
        return "busy"
    if isinstance(error, Expired):
        return "late"
    if isinstance(error, Ending):
        return "draining"
    return "refused" if isinstance(error, UnknownPolicy | UnknownRobot) else "failed"
