"""One lean client on its WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.serving.addresses import is_here
from unichunk.server.serving.lean_conversation import LeanConversation
from unichunk.server.serving.time_limit import time_limit
from unichunk.server.serving.websocket import BinaryOnly, Socket
from unichunk.server.wire.shared_memory import host_mark

if TYPE_CHECKING:
    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.service import Service

CLOSE_DONE = 1000
CLOSE_REFUSED = 1008


async def serve_lean(
    service: Service, socket: Socket, *, address: str, identity: Identity, policy: str, robot: str
) -> None:
    """Serve until the client has gone.

    Args:
        service: The server.
        socket: The connection, accepted.
        address: Where the client is, without the port.
        identity: Who it is, as its headers said.
        policy: From the path; empty: the default.
        robot: From the path; empty: the policy's first.
    """
    conversation = LeanConversation(
        service,
        socket.send,
        front="ws",
        address=address,
        identity=identity,
        policy=policy,
        robot=robot,
        host=host_mark() if is_here(address) else "",
    )
    try:
        async with time_limit(service.limits.handshake_s) as limit:
            message = await socket.receive()
        if limit.passed:
            await socket.close(CLOSE_REFUSED, f"no hello within {service.limits.handshake_s:g} s")
            return
        while message is not None:
            for reply in conversation.received(message):
                await socket.send(reply)
            # Whoever begins with anything but a hello would keep its place for nothing.
            if conversation.over or not conversation.greeted:
                await socket.close(CLOSE_DONE if conversation.greeted else CLOSE_REFUSED, "")
                return
            message = await socket.receive()
    except BinaryOnly as error:
        await socket.close(1003, str(error))
    finally:
        conversation.close()
