"""One lean client, whatever its connection is: its session, its requests in flight, their answers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.access import NO_KEY
from unichunk.server.serving.backend import Busy, Expired
from unichunk.server.serving.limits import TOO_MANY
from unichunk.server.serving.message_cost import is_dear
from unichunk.server.serving.refusals import Ending, KeyRefused, NotAllowed, TooFast
from unichunk.server.serving.work import Work
from unichunk.server.wire.lean import (
    PROTOCOL,
    REQUESTS,
    Bye,
    Cancel,
    Draining,
    Hello,
    Infer,
    Limits,
    NeedAll,
    Ping,
    Pong,
    Refused,
    Welcome,
)
from unichunk.server.wire.lean_work import with_timing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from unichunk.server.serving.clients import Client
    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.service import Service
    from unichunk.server.serving.session import Session
    from unichunk.server.wire.lean import RefusedKind, Response

_KINDS: Final[tuple[tuple[type[UnichunkError], RefusedKind], ...]] = (
    (MessageError, "message"),
    (KeyRefused, "key"),
    (NotAllowed, "key"),
    (TooFast, "rate"),
    (Busy, "busy"),
    (Expired, "late"),
    (Ending, "draining"),
)


class LeanConversation:
    """Takes messages in and sends answers; knows no socket.

    Args:
        service: The server.
        send: Sends an answer to the client.
        front: What it came by: `ws`, `zmq`.
        address: Where the client is, without the port; empty for a Unix socket.
        identity: Who it is, where its connection said so; None: by the key in its `Hello`.
        policy: Name of the policy for a `Hello` that names none; empty: the default.
        robot: The robot for a `Hello` that names none.
        host: `shared_memory.host_mark()` where the client is on this machine, else empty.
    """

    def __init__(
        self,
        service: Service,
        send: Callable[[bytes], Awaitable[None]],
        *,
        front: str,
        address: str,
        identity: Identity | None,
        policy: str = "",
        robot: str = "",
        host: str = "",
    ) -> None:
        self._service = service
        self._send = send
        self._front = front
        self._address = address
        self._identity = identity
        self._policy = policy
        self._robot = robot
        self._host = host
        self._client: Client | None = None
        self._session: Session | None = None
        self._running: dict[int, asyncio.Task[None]] = {}
        self._telling: asyncio.Future[None] | None = None
        self._over = False

    @property
    def greeted(self) -> bool:
        """Whether the client has said who it is, and was let in."""
        return self._session is not None

    @property
    def over(self) -> bool:
        """Whether the connection is to be closed: the client said goodbye, or was not let in."""
        return self._over

    @property
    def busy(self) -> bool:
        """Whether something is being answered."""
        return bool(self._running)

    def received(self, message: bytes) -> list[bytes]:
        """Take in a message. The answer to an `Infer` is sent when there is one.

        Args:
            message: Its bytes, which must not change any more.

        Returns:
            What to send at once. After that the connection is to be closed if it is `over`.
        """
        return [encode(response) for response in self._responses(message)]

    def _responses(self, message: bytes) -> list[Response]:
        try:
            if is_dear(message):
                raise MessageError(TOO_MANY)
            request = REQUESTS.decode(message)
        except MessageError as error:
            self._over = not self.greeted
            return [_refused(0, error)]
        if isinstance(request, Infer):
            return self._infer(request, message)
        if isinstance(request, Hello):
            return self._hello(request)
        if isinstance(request, Ping):
            if self._session is not None:
                self._service.sessions.heard(self._session, time.monotonic())
            return [Pong(id=request.id)]
        if isinstance(request, Cancel):
            self._give_up(request.id)
        elif isinstance(request, Bye):
            if self._session is not None:
                self._service.sessions.close(self._session)
            self._over = True
        return []

    def close(self) -> None:
        """The client has gone: what it waited for is given up; its session stays a while."""
        self._give_up_all()
        if self._telling is not None:
            self._telling.cancel()
        if self._client is not None:
            self._service.leave(self._client)

    def _hello(self, hello: Hello) -> list[Response]:
        try:
            if hello.protocol != PROTOCOL:
                raise MessageError(f"this server speaks protocol {PROTOCOL}, the client {hello.protocol}")
            return [self._welcome(hello)]
        except UnichunkError as error:
            self._over = True
            return [_refused(0, error)]

    def _welcome(self, hello: Hello) -> Welcome:
        service = self._service
        identity = self._identity or service.identify(hello.key or None, self._address)
        name, description = service.policy(hello.policy or self._policy)
        robot = service.robot(hello.embodiment or self._robot, description)
        if not description.manifest:
            raise UnichunkError(f"{name}: a policy that a Python factory made speaks openpi's protocol alone")
        if hello.refinement_rounds not in (None, description.refinement_rounds):
            raise UnichunkError(
                f"{name} runs with {description.refinement_rounds} refinement rounds, {hello.refinement_rounds} were "
                "asked for"
            )
        if hello.guided not in (None, description.guided):
            served, asked = ("guided" if guided else "not guided" for guided in (description.guided, hello.guided))
            raise UnichunkError(f"{name} is served {served}, {asked} was asked for: see unichunk serve --guided")
        if self._client is None:
            self._client = service.enter(self._front, identity, self._address)
            self._client.ending = self._end_soon
        self._give_up_all()
        before = self._session
        self._session, resumed = service.sessions.open(self._client.tenant, name, robot, hello, time.monotonic())
        if before is not None and before is not self._session:
            # A connection has one session: whoever says hello again and again does not fill the server with them.
            service.sessions.close(before)
        return Welcome(
            protocol=PROTOCOL,
            session=self._session.id,
            resumed=resumed,
            policy=name,
            manifest=msgspec.Raw(description.manifest),
            digest=description.digest,
            refinement_rounds=description.refinement_rounds,
            limits=Limits(message_bytes=service.limits.message_bytes, keep_alive_s=service.limits.keep_alive_s),
            host=self._host,
            guided=description.guided,
        )

    def _infer(self, infer: Infer, message: bytes) -> list[Response]:
        began = time.monotonic()
        if self._session is None or self._client is None:
            return [Refused(id=infer.id, kind="session", reason="expected a hello first on this connection")]
        try:
            payload = self._service.sessions.take(self._session, infer, message, began)
        except MessageError as error:
            return [_refused(infer.id, error)]
        if payload is None:
            return [NeedAll(id=infer.id)]
        responses: list[Response] = []
        if len(self._running) >= self._service.limits.in_flight_per_client:
            # The oldest one is the nearest to its answer; of the others, this one takes the newest one's place.
            replaced = next(reversed(self._running))
            self._give_up(replaced)
            responses.append(Refused(id=replaced, kind="late", reason="a newer request took its place"))
        work = Work(dialect="lean", robot=self._session.robot, payload=payload, seed=self._session.seed(infer))
        self._running[infer.id] = asyncio.ensure_future(
            self._answer(infer, self._client, self._session.policy, work, began)
        )
        return responses

    async def _answer(self, infer: Infer, client: Client, policy: str, work: Work, began: float) -> None:
        try:
            answer = await self._service.infer(client, policy, work, within_s=infer.within_s)
            if answer.error:
                self._service.no_chunk(client, answer)
                reply = encode(Refused(id=infer.id, kind=answer.fault, reason=answer.error))
            else:
                total_s = time.monotonic() - began
                queue_s = max(0.0, total_s - answer.decode_s - answer.infer_s - answer.encode_s)
                reply = with_timing(answer.payload, queue_s=queue_s, infer_s=answer.infer_s, total_s=total_s)
        except UnichunkError as error:
            reply = encode(_refused(infer.id, error))
        finally:
            if self._running.get(infer.id) is asyncio.current_task():
                del self._running[infer.id]
        await self._send(reply)

    def _give_up(self, number: int) -> None:
        task = self._running.pop(number, None)
        if task is not None:
            task.cancel()

    def _give_up_all(self) -> None:
        for number in list(self._running):
            self._give_up(number)

    def _end_soon(self) -> None:
        self._telling = asyncio.ensure_future(self._send(encode(Draining())))


def _refused(number: int, error: UnichunkError) -> Refused:
    kind: RefusedKind = next((kind for of, kind in _KINDS if isinstance(error, of)), "bundle")
    reason = NO_KEY if isinstance(error, KeyRefused) else str(error)
    return Refused(id=number, kind=kind, reason=reason, retry_after_s=getattr(error, "retry_after_s", None))
