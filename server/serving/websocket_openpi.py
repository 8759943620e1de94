"""One openpi client on its WebSocket: observations in, chunks out, strictly one at a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.limits import TOO_MANY
from unichunk.server.serving.message_cost import is_dear
from unichunk.server.serving.websocket import BinaryOnly, Socket
from unichunk.server.serving.work import Work
from unichunk.server.wire.openpi import endpoint_of

if TYPE_CHECKING:
    from unichunk.server.serving.clients import Client
    from unichunk.server.serving.service import Service

CLOSE_FAILED: Final = 1011
CLOSE_RESTART: Final = 1012

RESET_DONE: Final = "reset successful"
"""RoboArena's answer to a reset, as a text frame."""


class OpenpiClient:
    """Speaks openpi's protocol, and RoboArena's where an observation names its endpoint.

    Args:
        service: The server.
        client: Whose connection it is.
        policy: Name under which its policy is served.
        robot: The embodiment.
        socket: The connection, accepted.
    """

    def __init__(self, service: Service, client: Client, policy: str, robot: str, socket: Socket) -> None:
        self._service = service
        self._client = client
        self._policy = policy
        self._robot = robot
        self._socket = socket
        self._answering: asyncio.Task[None] | None = None
        self._previous_total_ms: float | None = None

    async def run(self, handshake: bytes) -> None:
        """Serve until the client has gone or the server ends.

        Args:
            handshake: The metadata frame.
        """
        self._client.ending = self._end_soon
        try:
            await self._socket.send(handshake)
            while (message := await self._next()) is not None:
                if self._answering is not None:
                    # One at a time: the next one is not looked at before, and the transport stops reading meanwhile.
                    await asyncio.wait([self._answering])
                self._answering = asyncio.ensure_future(self._answer(message))
                if self._service.draining:
                    self._end_soon()
        finally:
            if self._answering is not None:
                self._answering.cancel()
                await asyncio.gather(self._answering, return_exceptions=True)

    async def _next(self) -> bytes | None:
        try:
            return await self._socket.receive()
        except BinaryOnly as error:
            await self._fail(str(error))
            return None

    async def _answer(self, message: bytes) -> None:
        began = time.monotonic()
        if is_dear(message):
            await self._fail(TOO_MANY)
            return
        endpoint = endpoint_of(message)
        if endpoint == "reset":
            self._client.begin_episode()
            await self._socket.send(RESET_DONE)
            return
        work = Work(
            dialect="openpi" if endpoint is None else "roboarena",
            robot=self._robot,
            payload=message,
            seed=self._client.next_seed(),
            previous_total_ms=self._previous_total_ms,
        )
        try:
            answer = await self._service.infer(self._client, self._policy, work)
        except UnichunkError as error:
            await self._fail(str(error))
            return
        if answer.error:
            self._service.no_chunk(self._client, answer)
            await self._fail(answer.error)
            return
        await self._socket.send(answer.payload)
        self._previous_total_ms = (time.monotonic() - began) * 1e3
        if self._service.draining:
            await self._socket.close(CLOSE_RESTART, "the server is ending")

    async def _fail(self, why: str) -> None:
        if self._service.draining:
            await self._socket.close(CLOSE_RESTART, "the server is ending")
            return
        await self._socket.send(why)
        await self._socket.close(CLOSE_FAILED, "see the message before")

    def _end_soon(self) -> None:
        """Close now where nothing is being answered; else that is done after the answer."""
        if self._answering is None or self._answering.done():
            self._answering = asyncio.ensure_future(self._socket.close(CLOSE_RESTART, "the server is ending"))
