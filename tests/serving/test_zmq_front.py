"""ZeroMQ clients: GR00T's REQ sockets by their bytes, lean DEALERs, and whatever else may come."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgpack
import pytest
import zmq

from tests.serving.front_server import SOON_S, Keys, running, soon, zmq_socket
from unichunk.server.serving.access import Access
from unichunk.server.serving.backend import Busy
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.work import Answer
from unichunk.server.serving.zmq_router import MOST_PER_ROUND, WAITING_MESSAGES
from unichunk.server.wire.lean import RESPONSES, Refused

pytestmark = pytest.mark.asyncio

PONG = {"status": "ok", "message": "Server is running"}
UNAUTHORIZED = {"error": "Unauthorized: Invalid API token"}
ARRAY = bytes.fromhex(
    "81a16185c4026e64c3c40474797065a33c6634c4046b696e64c400c40573686170659102c40464617461c408000000000000803f"
)
"""msgpack-numpy's bytes of {"a": float32[0, 1]}."""


def get_action(data: bytes = ARRAY) -> bytes:
    return b"\x82\xa8endpoint\xaaget_action\xa4data\x81\xabobservation" + data


async def ask(socket: Any, message: Any) -> Any:
    """Send a message and read the answer to it."""
    await socket.send(message if isinstance(message, bytes) else msgpack.packb(message))
    return msgpack.unpackb(await asyncio.wait_for(socket.recv(), SOON_S))


async def test_what_every_groot_client_asks() -> None:
    async with running() as server, zmq_socket(zmq.REQ, server.endpoint) as socket:
        assert await ask(socket, {"endpoint": "ping"}) == PONG
        assert await ask(socket, {"endpoint": "reset", "data": {"options": None}}) == {}
        assert await ask(socket, {"endpoint": "fly"}) == {"error": "Unknown endpoint: fly"}
        config = {"delta_indices": [0], "modality_keys": ["front"]}
        assert await ask(socket, {"endpoint": "get_modality_config"}) == {
            "video": {"__ModalityConfig__": True, "as_json": config}
        }
        message = get_action()
        assert await ask(socket, message) == msgpack.unpackb(message)
        policy, work, caller, _ = server.backend.asked[-1]
        assert (policy, work.dialect, work.robot, work.payload) == ("tiny", "groot", "so101", message)
        assert caller.tenant == "127.0.0.1"
        # Of N1.6 from its arrays on.
        older = b"\x81\xa1a\x82\xb1__ndarray_class__\xc3\xa6as_npy\xc4\x00"
        await ask(socket, get_action(older))
        assert await ask(socket, {"endpoint": "get_modality_config"}) == {
            "video": {"__ModalityConfig_class__": True, "as_json": config}
        }
        # The default endpoint, and the episode that the reset began.
        assert await ask(socket, {"data": {}}) == {"data": {}}
        assert [work.seed[1:] for _, work, _, _ in server.backend.asked] == [(1, 0), (1, 1), (1, 2)]


async def test_kill_is_for_administrators_and_tokens_are_checked() -> None:
    async with running() as server, zmq_socket(zmq.REQ, server.endpoint) as socket:
        assert await ask(socket, {"endpoint": "kill"}) == UNAUTHORIZED
        assert not server.service.draining
    known = Keys(admin=Identity("k-a", "a", Role.ADMIN), robot=Identity("k-r", "r", Role.ROBOT))
    async with running(access=Access(known)) as server, zmq_socket(zmq.REQ, server.endpoint) as socket:
        for message in ({"endpoint": "ping"}, {"endpoint": "ping", "api_token": "wrong"}, get_action()):
            assert await ask(socket, message) == UNAUTHORIZED
        assert not len(server.service.clients)
        assert await ask(socket, {"endpoint": "ping", "api_token": "robot"}) == PONG
        assert await ask(socket, {"endpoint": "kill", "api_token": "robot"}) == UNAUTHORIZED
        assert await ask(socket, {"endpoint": "ping"}) == UNAUTHORIZED
        del known.known["robot"]
        assert await ask(socket, {"endpoint": "ping", "api_token": "robot"}) == UNAUTHORIZED
        assert not server.service.draining
        assert await ask(socket, {"endpoint": "kill", "api_token": "admin"}) is None
        assert server.service.draining
        assert "ending" in (await ask(socket, {"endpoint": "get_action", "api_token": "admin"}))["error"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xc1",
        b"\x93",
        b"\x80" * 3,
        b"\xff" * 1000,
        b"\x81\xa8endpoint\x05",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 9999,
    ],
)
async def test_garbage_gets_one_line_and_the_next_message_its_answer(garbage: bytes) -> None:
    async with running() as server, zmq_socket(zmq.REQ, server.endpoint) as socket:
        line = (await ask(socket, garbage))["error"]
        assert "\n" not in line
        assert await ask(socket, {"endpoint": "ping"}) == PONG
        async with zmq_socket(zmq.DEALER, server.endpoint) as dealer:
            await dealer.send(garbage or b"\xc1")
            answer = RESPONSES.decode(await asyncio.wait_for(dealer.recv(), SOON_S))
            assert isinstance(answer, Refused)
            assert (answer.kind, answer.id) == ("message", 0)


async def test_parts_that_belong_to_nobody() -> None:
    async with running() as server, zmq_socket(zmq.DEALER, server.endpoint) as dealer:
        await dealer.send_multipart([b"a", b"b"])
        (answer,) = await asyncio.wait_for(dealer.recv_multipart(), SOON_S)
        assert isinstance(RESPONSES.decode(answer), Refused)
        await dealer.send_multipart([b"around", b"", b"one", b"two"])
        *around, answer = await asyncio.wait_for(dealer.recv_multipart(), SOON_S)
        assert around == [b"around", b""]
        assert "malformed" in msgpack.unpackb(answer)["error"]
        # What stands before a REQ socket's part (a proxy, a correlated request) comes back as it was.
        await dealer.send_multipart([b"proxy", b"1234", b"", msgpack.packb({"endpoint": "ping"})])
        *around, answer = await asyncio.wait_for(dealer.recv_multipart(), SOON_S)
        assert around == [b"proxy", b"1234", b""]
        assert msgpack.unpackb(answer) == PONG
        await dealer.send(b"")
        await dealer.send_multipart([b"", b""])
        assert "malformed" in msgpack.unpackb((await asyncio.wait_for(dealer.recv_multipart(), SOON_S))[-1])["error"]


async def test_errors_of_the_policy_and_a_full_server() -> None:
    async with running() as server, zmq_socket(zmq.REQ, server.endpoint) as socket:
        server.backend.answer_with = lambda work: Answer(error="video: expected front")
        assert await ask(socket, get_action()) == {"error": "video: expected front"}

        def full(_: object) -> Answer:
            raise Busy("the server is full", 1.0)

        server.backend.answer_with = full
        assert await ask(socket, get_action()) == {"error": "the server is full"}
    async with running(limits=ClientLimits(clients=1)) as server, zmq_socket(zmq.REQ, server.endpoint) as first:
        await ask(first, {"endpoint": "ping"})
        async with zmq_socket(zmq.REQ, server.endpoint) as second:
            assert "the server is full" in (await ask(second, {"endpoint": "ping"}))["error"]


async def test_who_hangs_up_is_not_worked_for_and_its_place_is_free() -> None:
    async with running(limits=ClientLimits(clients=1)) as server:
        server.backend.gate.clear()
        for rounds in range(1, 3):
            async with zmq_socket(zmq.REQ, server.endpoint) as socket:
                await socket.send(get_action())
                await soon(lambda n=rounds: len(server.backend.asked) == n)
            await soon(lambda n=rounds: len(server.backend.given_up) == n)
            await soon(lambda: not len(server.service.clients))


async def test_a_newer_request_takes_the_place_of_an_older_one() -> None:
    async with running() as server, zmq_socket(zmq.DEALER, server.endpoint) as dealer:
        server.backend.gate.clear()
        await dealer.send_multipart([b"", get_action()])
        await soon(lambda: server.backend.asked)
        await dealer.send_multipart([b"", get_action(b"\x80")])
        await soon(lambda: server.backend.given_up)
        server.backend.gate.set()
        assert (await asyncio.wait_for(dealer.recv_multipart(), SOON_S))[-1] == get_action(b"\x80")


async def test_more_messages_at_once_than_are_taken_in_one_round() -> None:
    ping = msgpack.packb({"endpoint": "ping"})
    async with running() as server, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(zmq_socket(zmq.DEALER, server.endpoint)) for _ in range(12)]
        # Of each no more than the socket keeps for who does not read: the rest would be dropped.
        for socket in sockets:
            for _ in range(WAITING_MESSAGES):
                await socket.send_multipart([b"", ping])
        for socket in sockets:
            for _ in range(WAITING_MESSAGES):
                _, answer = await asyncio.wait_for(socket.recv_multipart(), SOON_S)
                assert msgpack.unpackb(answer) == PONG
    assert len(sockets) * WAITING_MESSAGES * 3 > 2 * MOST_PER_ROUND


async def test_a_message_that_is_too_long_ends_its_connection_alone() -> None:
    limits = ClientLimits(message_bytes=10_000)
    async with (
        running(limits=limits) as server,
        zmq_socket(zmq.REQ, server.endpoint) as socket,
        zmq_socket(zmq.REQ, server.endpoint) as other,
    ):
        await socket.send(b"x" * 10_001)
        assert await ask(other, {"endpoint": "ping"}) == PONG
        assert not server.backend.asked


async def test_who_is_silent_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.serving.zmq_front.SWEEP_EVERY_S", 0.02)
    limits = ClientLimits(keep_alive_s=0.1)
    async with running(limits=limits) as server, zmq_socket(zmq.REQ, server.endpoint) as socket:
        assert await ask(socket, {"endpoint": "ping"}) == PONG
        await soon(lambda: not len(server.service.clients))
        assert await ask(socket, {"endpoint": "ping"}) == PONG


async def test_strangers_are_forgotten_before_robots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.serving.zmq_front.MOST_STRANGERS", 2)
    known = Keys(robot=Identity("k-r", "r", Role.ROBOT))
    async with running(access=Access(known), limits=ClientLimits(clients=1)) as server, AsyncExitStack() as stack:
        robot = await stack.enter_async_context(zmq_socket(zmq.REQ, server.endpoint))
        assert await ask(robot, {"endpoint": "ping", "api_token": "robot"}) == PONG
        for _ in range(8):
            stranger = await stack.enter_async_context(zmq_socket(zmq.REQ, server.endpoint))
            assert await ask(stranger, {"endpoint": "ping"}) == UNAUTHORIZED
        assert len(server.service.clients) == 1
        assert await ask(robot, {"endpoint": "ping", "api_token": "robot"}) == PONG
    assert [event["client"] for event in server.events("connected")] == ["zmq-1"]
