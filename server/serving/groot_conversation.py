"""One GR00T client: a request at a time, in any of the three dialects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.errors import MessageError
from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.identity import Right
from unichunk.server.serving.limits import TOO_MANY
from unichunk.server.serving.message_cost import is_dear
from unichunk.server.serving.refusals import KeyRefused, NotAllowed
from unichunk.server.serving.work import Work
from unichunk.server.wire import groot

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.serving.clients import Client
    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.service import Service

UNKNOWN_DIALECT: Final = groot.GrootDialect.C
"""Of a client that has not sent an array yet: the newest."""


class GrootConversation:
    """Takes messages in and sends answers; knows no socket.

    The newest request counts: who asks anew without having waited for an answer gets one to the newer question alone.

    Args:
        service: The server.
        send: Sends a message to the client.
        address: Where the client is, without the port; empty for a Unix socket.
        identity: Who it is, where its connection said so (CURVE); None: by the token in its requests.
    """

    def __init__(
        self, service: Service, send: Callable[[bytes], object], *, address: str, identity: Identity | None
    ) -> None:
        self._service = service
        self._send = send
        self._address = address
        self._identity = identity
        self._token: str | None = None
        self._client: Client | None = None
        self._dialect: groot.GrootDialect | None = None
        self._answering: asyncio.Task[None] | None = None

    @property
    def entered(self) -> bool:
        """Whether it is one of the server's clients."""
        return self._client is not None

    @property
    def busy(self) -> bool:
        """Whether something is being answered."""
        return self._answering is not None and not self._answering.done()

    def received(self, message: bytes) -> None:
        """Take in a request; its answer is sent now or later."""
        self._give_up()
        try:
            if is_dear(message):
                raise MessageError(TOO_MANY)
            envelope = groot.read_envelope(message)
            client = self._enter(envelope.api_token)
            self._dialect = envelope.dialect or self._dialect
            reply = self._reply(envelope.endpoint, client)
        except (KeyRefused, NotAllowed):
            self._send(groot.pack_error(groot.UNAUTHORIZED))
            return
        except UnichunkError as error:
            self._send(groot.pack_error(str(error)))
            return
        if reply is not None:
            self._send(reply)
        else:
            self._answering = asyncio.ensure_future(self._answer(message, client))

    def close(self) -> None:
        """The client has gone."""
        self._give_up()
        if self._client is not None:
            self._service.leave(self._client)
            self._client = None

    def _give_up(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None

    def _enter(self, token: str | None) -> Client:
        service = self._service
        if self._client is not None and token == self._token:
            service.access.check(self._client.identity, Right.INFER)
            return self._client
        identity = self._identity or service.identify(token, self._address)
        self.close()
        self._client, self._token = service.enter("zmq", identity, self._address), token
        return self._client

    def _reply(self, endpoint: str, client: Client) -> bytes | None:
        """What can be answered here; None for what a worker has to answer."""
        if endpoint == "get_action":
            return None
        if endpoint == "ping":
            return groot.PONG
        if endpoint == "reset":
            client.begin_episode()
            return groot.RESET
        if endpoint == "get_modality_config":
            _, description = self._service.policy("")
            robot = self._service.robot("", description)
            return groot.pack_modality(description.modality[robot], self._dialect or UNKNOWN_DIALECT)
        if endpoint == "kill":
            self._service.drain(client.identity)
            return groot.KILLED
        return groot.unknown_endpoint(endpoint)

    async def _answer(self, message: bytes, client: Client) -> None:
        try:
            policy, description = self._service.policy("")
            robot = self._service.robot("", description)
            work = Work(dialect="groot", robot=robot, payload=message, seed=client.next_seed())
            answer = await self._service.infer(client, policy, work)
        except (KeyRefused, NotAllowed):
            self._send(groot.pack_error(groot.UNAUTHORIZED))
            return
        except UnichunkError as error:
            self._send(groot.pack_error(str(error)))
            return
        if answer.error:
            self._service.no_chunk(client, answer)
            self._send(groot.pack_error(answer.error))
        else:
            self._send(answer.payload)
