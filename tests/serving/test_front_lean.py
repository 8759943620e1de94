"""Lean clients, over both of their transports."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zmq
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.serving.front_server import SOON_S, Keys, Running, running, soon, zmq_socket
from unichunk.embodiments.link.codec import encode
from unichunk.server.serving.access import Access
from unichunk.server.serving.backend import Busy, Expired
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.work import Answer
from unichunk.server.wire.lean import (
    RESPONSES,
    SUBPROTOCOL,
    Bye,
    Cancel,
    Draining,
    Hello,
    Infer,
    Inferred,
    NeedAll,
    Ping,
    Pong,
    Refused,
    Timing,
    Welcome,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unichunk.server.serving.work import Work
    from unichunk.server.wire.lean import Response

pytestmark = pytest.mark.asyncio

PROMPT = msgspec.Raw(msgspec.msgpack.encode("go"))
STATE = msgspec.Raw(msgspec.msgpack.encode([1.0] * 500))


class Lean:
    """A client on one connection."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send = send
        self._receive = receive

    async def say(self, message: msgspec.Struct) -> None:
        await self._send(encode(message))

    async def hear(self) -> Response:
        return RESPONSES.decode(await asyncio.wait_for(self._receive(), SOON_S))

    async def ask(self, message: msgspec.Struct) -> Response:
        await self.say(message)
        return await self.hear()

    async def hello(self, **fields: Any) -> Welcome:
        answer = await self.ask(Hello(protocol=1, **fields))
        assert isinstance(answer, Welcome), answer
        return answer


@asynccontextmanager
async def lean(server: Running, transport: str, path: str = "", key: str = "") -> AsyncIterator[Lean]:
    if transport == "zmq":
        async with zmq_socket(zmq.DEALER, server.endpoint) as socket:
            yield Lean(socket.send, socket.recv)
    else:
        headers = {"Authorization": f"Api-Key {key}"} if key else {}
        async with connect(
            server.url + path,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            compression=None,
            additional_headers=headers,
        ) as socket:
            assert socket.subprotocol == SUBPROTOCOL
            yield Lean(socket.send, socket.recv)


def infer(number: int, base: int = 0, within_s: float = 10.0, **fields: msgspec.Raw) -> Infer:
    return Infer(id=number, number=number, base=base, fields=fields, within_s=within_s)


def chunk(work: Work) -> Answer:
    """What a worker makes of it: here, its number."""
    whole = msgspec.msgpack.decode(work.payload)
    number = msgspec.msgpack.decode(whole[0])["id"]
    rows = msgspec.msgpack.Ext(1, b"<f4\x02\0\0\0\0\0\0\0\0")
    message = {
        "answer": "inferred",
        "id": number,
        "digest": "d",
        "unified": rows,
        "gates": None,
        "discrepancies": None,
        "timing": msgspec.to_builtins(Timing(infer_ms=1.0)),
    }
    return Answer(payload=msgspec.msgpack.encode(message), infer_s=0.001)


TRANSPORTS = pytest.mark.parametrize("transport", ["ws", "zmq"])


@TRANSPORTS
async def test_only_what_changed_is_sent_and_the_worker_gets_everything(transport: str) -> None:
    async with running(seed=5) as server, lean(server, transport) as client:
        server.backend.answer_with = chunk
        welcome = await client.hello(embodiment="d1", seed=7)
        assert (welcome.policy, welcome.resumed, welcome.digest) == ("tiny", False, "ab" * 32)
        assert welcome.host
        first = await client.ask(infer(1, prompt=PROMPT, state=STATE))
        assert isinstance(first, Inferred)
        assert first.id == 1
        assert first.timing.infer_ms == 1.0
        assert first.timing.total_ms > 0
        second = await client.ask(infer(2, base=1, prompt=PROMPT))
        assert isinstance(second, Inferred)
        _, work, _, deadline_s = server.backend.asked[-1]
        message, inherited = msgspec.msgpack.decode(work.payload)
        assert list(inherited) == ["state"]
        assert list(msgspec.msgpack.decode(message)["fields"]) == ["prompt"]
        assert (work.dialect, work.robot, work.seed) == ("lean", "d1", (7, 2))
        assert deadline_s is not None
        # It builds on one that the session never had.
        assert isinstance(await client.ask(infer(4, base=3)), NeedAll)
        assert isinstance(await client.ask(infer(5, base=4)), NeedAll)
        assert isinstance(await client.ask(infer(6, prompt=PROMPT)), Inferred)


@TRANSPORTS
async def test_a_session_is_resumed_by_its_own_tenant_alone(transport: str) -> None:
    known = Keys(a=Identity("k-a", "a", Role.ROBOT), b=Identity("k-b", "b", Role.ROBOT))
    async with running(access=Access(known)) as server:
        server.backend.answer_with = chunk
        async with lean(server, transport, key="a") as client:
            welcome = await client.hello(key="a")
            await client.ask(infer(1, state=STATE))
        await soon(lambda: not len(server.service.clients))
        async with lean(server, transport, key="b") as thief:
            assert not (await thief.hello(key="b", session=welcome.session)).resumed
        async with lean(server, transport, key="a") as other_robot:
            assert not (await other_robot.hello(key="a", embodiment="d1", session=welcome.session)).resumed
        async with lean(server, transport, key="a") as client:
            again = await client.hello(key="a", session=welcome.session)
            assert (again.resumed, again.session) == (True, welcome.session)
            assert isinstance(await client.ask(infer(2, base=1)), Inferred)
            await client.say(Bye())
            await soon(lambda: len(server.service.sessions) == 2)
        async with lean(server, transport, key="a") as client:
            assert not (await client.hello(key="a", session=welcome.session)).resumed


@TRANSPORTS
async def test_who_is_refused_and_why(transport: str) -> None:
    known = Keys(a=Identity("k-a", "a", Role.ROBOT), v=Identity("k-v", "v", Role.VIEWER))
    async with running(access=Access(known)) as server:
        for key in ("", "wrong"):
            if transport == "ws":
                # On a WebSocket nobody is a stranger: the key is in the headers.
                with pytest.raises(InvalidStatus) as caught:
                    async with lean(server, transport, key=key):
                        pass
                assert caught.value.response.status_code == 401
                continue
            async with lean(server, transport) as client:
                answer = await client.ask(Hello(protocol=1, key=key))
                assert isinstance(answer, Refused)
                assert (answer.id, answer.kind) == (0, "key")
        for fields, kind in (
            ({"key": "v"}, "key"),
            ({"key": "a", "protocol": 2}, "message"),
            ({"key": "a", "policy": "none"}, "bundle"),
            ({"key": "a", "embodiment": "none"}, "bundle"),
            ({"key": "a", "refinement_rounds": 3}, "bundle"),
            ({"key": "a", "guided": True}, "bundle"),
        ):
            async with lean(server, transport, key=str(fields["key"])) as client:
                answer = await client.ask(Hello(**{"protocol": 1, **fields}))
                assert isinstance(answer, Refused)
                assert (answer.id, answer.kind) == (0, kind)
                assert "\n" not in answer.reason
        async with lean(server, transport, key="a") as client:
            answer = await client.ask(infer(3))
            assert isinstance(answer, Refused)
            assert (answer.id, answer.kind) == (3, "session")
        assert not len(server.service.clients) or transport == "zmq"
        assert not server.backend.asked


@TRANSPORTS
async def test_clients_are_told_whether_chunks_are_guided(transport: str) -> None:
    async with running() as server:
        for served in (False, True):
            loaded = server.backend._loaded
            loaded["tiny"] = msgspec.structs.replace(loaded["tiny"], guided=served)
            for asked in (None, served):
                async with lean(server, transport) as client:
                    assert (await client.hello(guided=asked)).guided == served
            async with lean(server, transport) as client:
                answer = await client.ask(Hello(protocol=1, guided=not served))
                assert isinstance(answer, Refused)
                assert "guided was asked for: see unichunk serve --guided" in answer.reason


@TRANSPORTS
async def test_requests_end_as_they_should(transport: str) -> None:
    async with running(limits=ClientLimits(in_flight_per_client=2)) as server, lean(server, transport) as client:
        await client.hello()
        outcomes: dict[str, Any] = {
            "busy": Busy("full", 0.5),
            "late": Expired("late"),
            "observation": Answer(error="x", fault="observation"),
        }
        for number, (kind, outcome) in enumerate(outcomes.items(), 1):

            def answer(_: Work, outcome: Any = outcome) -> Answer:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome  # type: ignore[no-any-return]

            server.backend.answer_with = answer
            refused = await client.ask(infer(number, prompt=PROMPT))
            assert isinstance(refused, Refused)
            assert (refused.id, refused.kind) == (number, kind)
            assert refused.retry_after_s == (0.5 if kind == "busy" else None)
        server.backend.answer_with = chunk
        server.backend.gate.clear()
        await client.say(infer(11, prompt=PROMPT))
        assert isinstance(await client.ask(Ping(id=99)), Pong)
        await client.say(infer(12, prompt=PROMPT))
        await soon(lambda: server.service.in_flight == 2)
        replaced = await client.ask(infer(13, prompt=PROMPT))
        assert isinstance(replaced, Refused)
        assert (replaced.id, replaced.kind) == (12, "late")
        await client.say(Cancel(id=11))
        await soon(lambda: len(server.backend.given_up) == 2)
        server.backend.gate.set()
        last = await client.hear()
        assert isinstance(last, Inferred)
        assert last.id == 13
        assert server.service.in_flight == 0


@TRANSPORTS
async def test_who_hangs_up_is_not_worked_for_and_who_ends_is_told(transport: str) -> None:
    async with running() as server:
        server.backend.answer_with = chunk
        server.backend.gate.clear()
        async with lean(server, transport) as client:
            await client.hello()
            await client.say(infer(1, prompt=PROMPT))
            await soon(lambda: server.backend.asked)
        await soon(lambda: server.backend.given_up)
        await soon(lambda: not len(server.service.clients))
        async with lean(server, transport) as client:
            await client.hello()
            await client.say(infer(1, prompt=PROMPT))
            await soon(lambda: server.service.in_flight)
            server.service.drain()
            assert isinstance(await client.hear(), Draining)
            refused = await client.ask(infer(2, prompt=PROMPT))
            assert isinstance(refused, Refused)
            assert refused.kind == "draining"
            server.backend.gate.set()
            assert isinstance(await client.hear(), Inferred)


async def test_the_path_names_policy_and_robot_and_who_says_nothing_is_sent_away() -> None:
    async with running("one", "two", limits=ClientLimits(handshake_s=0.2)) as server:
        async with lean(server, "ws", "/two/d1") as client:
            assert (await client.hello()).policy == "two"
            server.backend.answer_with = chunk
            await client.ask(infer(1, prompt=PROMPT))
            policy, work, _, _ = server.backend.asked[-1]
            assert (policy, work.robot) == ("two", "d1")
        async with connect(server.url, subprotocols=[SUBPROTOCOL]) as socket:  # type: ignore[list-item]
            await asyncio.wait_for(socket.wait_closed(), SOON_S)
            assert socket.close_code == 1008
