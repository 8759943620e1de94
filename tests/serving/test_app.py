"""HTTP and WebSocket as clients meet them: a real uvicorn, a backend that does what the test says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.serving.fake_backend import HANDSHAKE
from tests.serving.front_server import SOON_S, Keys, http, running, soon
from unichunk.server.serving.access import Access
from unichunk.server.serving.backend import Busy, Expired
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.rate_limits import Rate, TenantLimits
from unichunk.server.serving.work import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

OBSERVATION = msgpack.packb({"state": [0.0] * 6, "prompt": "go"})
ADMIN = Identity("k-admin", "admin", Role.ADMIN)
ROBOT = Identity("k-robot", "robot", Role.ROBOT)
VIEWER = Identity("k-viewer", "viewer", Role.VIEWER)


def keys() -> Keys:
    return Keys(admin=ADMIN, robot=ROBOT, viewer=VIEWER)


@asynccontextmanager
async def openpi(url: str, **options: Any) -> AsyncIterator[Any]:
    """An openpi client that has read its metadata frame."""
    async with connect(url, compression=None, max_size=None, **options) as socket:
        assert await asyncio.wait_for(socket.recv(), SOON_S) == HANDSHAKE
        yield socket


async def refused_upgrade(url: str, status: int, **options: Any) -> str:
    """The server says no instead of becoming a WebSocket; its one line."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, compression=None, **options):
            pass
    assert caught.value.response.status_code == status
    line = bytes(caught.value.response.body or b"").decode()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    return line


async def fails(socket: Any, *words: str) -> None:
    """The server says one line of text, then closes with 1011, as openpi's does."""
    line = await asyncio.wait_for(socket.recv(), SOON_S)
    assert isinstance(line, str)
    assert "\n" not in line
    for word in words:
        assert word in line
    with pytest.raises(ConnectionClosed) as caught:
        await asyncio.wait_for(socket.recv(), SOON_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


async def test_health_is_exactly_what_openpi_clients_look_for() -> None:
    async with running() as server:
        status, _, body = await http(server.port, "GET /healthz")
        assert (status, body) == (200, "OK\n")
        assert (await http(server.port, "GET /readyz"))[::2] == (200, "OK\n")
        server.backend.workers = 0
        assert (await http(server.port, "GET /readyz"))[::2] == (503, "a policy has no worker\n")
        assert (await http(server.port, "GET /healthz"))[0] == 200
        for page in ("GET /docs", "GET /openapi.json", "GET /nothing/of/the/sort"):
            assert (await http(server.port, page))[0] == 404


async def test_an_observation_becomes_work_and_its_answer_comes_back_as_the_worker_made_it() -> None:
    async with running("first", "second", seed=40) as server, openpi(f"{server.url}/second/d1") as socket:
        for _ in range(3):
            await socket.send(OBSERVATION)
            assert await socket.recv() == OBSERVATION
        works = [work for _, work, _, _ in server.backend.asked]
        assert [policy for policy, *_ in server.backend.asked] == ["second"] * 3
        assert {(work.dialect, work.robot, work.payload) for work in works} == {("openpi", "d1", OBSERVATION)}
        assert [work.seed for work in works] == [(40, 0, 0), (40, 0, 1), (40, 0, 2)]
        assert works[0].previous_total_ms is None
        assert all(0 < (work.previous_total_ms or 0) < 60_000 for work in works[1:])
        async with openpi(server.url) as other:
            await other.send(OBSERVATION)
            await other.recv()
            policy, work, caller, _ = server.backend.asked[-1]
            assert (policy, work.robot, work.seed) == ("first", "so101", (41, 0, 0))
            assert caller.tenant == "127.0.0.1"
            assert caller.client != server.backend.asked[0][2].client


async def test_roboarena_clients_begin_episodes() -> None:
    async with running() as server, openpi(server.url) as socket:
        infer = msgpack.packb({"endpoint": "infer", "state": b"\0" * 1000})
        for message in (infer, msgpack.packb({"endpoint": "reset"}), infer):
            await socket.send(message)
            answer = await socket.recv()
            assert answer == ("reset successful" if message is not infer else infer)
        works = [work for _, work, _, _ in server.backend.asked]
        assert [work.dialect for work in works] == ["roboarena"] * 2
        assert [work.seed[1:] for work in works] == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Answer(error="state: expected 6 numbers, got 5", fault="observation"), ("state: expected 6",)),
        (Busy("the server is full: 9 wait", 1.0), ("the server is full",)),
        (Expired("no worker was free in time"), ("no worker",)),
    ],
)
async def test_what_goes_wrong_is_one_line_of_text_and_then_1011(outcome: Any, words: tuple[str, ...]) -> None:
    def answer(_: Any) -> Answer:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    async with running() as server, openpi(server.url) as socket:
        server.backend.answer_with = answer
        await socket.send(OBSERVATION)
        await fails(socket, *words)


async def test_a_text_frame_is_no_message() -> None:
    async with running() as server, openpi(server.url) as socket:
        await socket.send("hello")
        await fails(socket, "binary")
        assert not server.backend.asked


async def test_a_message_of_very_many_values_never_reaches_a_decoder() -> None:
    async with running() as server, openpi(server.url) as socket:
        await socket.send(msgpack.packb({"state": [0] * 400_000}))
        await fails(socket, "far more values")
        assert not server.backend.asked


async def test_a_message_that_is_too_long_closes_the_connection() -> None:
    async with running(limits=ClientLimits(message_bytes=10_000)) as server, openpi(server.url) as socket:
        await socket.send(b"x" * 10_001)
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        assert not server.backend.asked
        async with openpi(server.url) as other:
            await other.send(b"\x80" + b"x" * 9_999)
            await other.recv()


async def test_who_hangs_up_is_not_worked_for() -> None:
    async with running() as server:
        server.backend.gate.clear()
        async with openpi(server.url) as socket:
            await socket.send(OBSERVATION)
            await soon(lambda: server.backend.asked)
            socket.transport.abort()
            await soon(lambda: server.backend.given_up)
        await soon(lambda: not len(server.service.clients))
        assert server.service.in_flight == 0


async def test_one_client_asks_one_thing_at_a_time() -> None:
    async with running() as server, openpi(server.url) as socket:
        server.backend.gate.clear()
        for _ in range(3):
            await socket.send(OBSERVATION)
        await soon(lambda: server.backend.asked)
        await asyncio.sleep(0.05)
        assert len(server.backend.asked) == 1
        server.backend.gate.set()
        for _ in range(3):
            assert await asyncio.wait_for(socket.recv(), SOON_S) == OBSERVATION
        assert len(server.backend.asked) == 3


async def test_others_are_answered_while_one_waits() -> None:
    async with running() as server, openpi(server.url) as slow, openpi(server.url) as quick:
        server.backend.gate.clear()
        await slow.send(OBSERVATION)
        await soon(lambda: server.backend.asked)
        gate, server.backend.gate = server.backend.gate, asyncio.Event()
        server.backend.gate.set()
        for _ in range(5):
            await quick.send(OBSERVATION)
            assert await asyncio.wait_for(quick.recv(), SOON_S) == OBSERVATION
        gate.set()
        assert await asyncio.wait_for(slow.recv(), SOON_S) == OBSERVATION


async def test_an_answer_that_never_comes_is_given_up() -> None:
    async with running(limits=ClientLimits(answer_s=0.1)) as server, openpi(server.url) as socket:
        server.backend.gate.clear()
        await socket.send(OBSERVATION)
        await fails(socket, "no answer within 0.1 s")
        assert server.backend.given_up


async def test_a_client_that_computes_for_long_is_asked_and_stays() -> None:
    limits = ClientLimits(ping_interval_s=0.05, ping_timeout_s=10.0)
    async with running(limits=limits) as server, openpi(server.url) as socket:
        server.backend.takes_s = 0.5
        await socket.send(OBSERVATION)
        assert await asyncio.wait_for(socket.recv(), SOON_S) == OBSERVATION


async def test_a_client_that_is_dead_is_noticed() -> None:
    limits = ClientLimits(ping_interval_s=0.05, ping_timeout_s=0.1)
    async with running(limits=limits) as server:
        server.backend.gate.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        # A peer that does not answer pings, as one whose cable was pulled.
        writer.write(
            b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x82\x81\0\0\0\0\x80")
        await soon(lambda: server.backend.asked)
        await soon(lambda: server.backend.given_up)
        await soon(lambda: not len(server.service.clients))
        writer.close()


async def test_a_full_server_says_so_at_once() -> None:
    async with running(limits=ClientLimits(clients=2, clients_per_tenant=2)) as server:
        async with openpi(server.url), openpi(server.url):
            assert "the server is full" in await refused_upgrade(server.url, 503)
        await soon(lambda: not len(server.service.clients))
        async with openpi(server.url):
            pass


@pytest.mark.parametrize("path", ["/nobody", "/tiny/nobody", "/tiny/so101/more"])
async def test_a_path_that_leads_nowhere(path: str) -> None:
    async with running() as server:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(server.url + path):
                pass
        # Of a path that no policy could have, the web framework speaks.
        assert caught.value.response.status_code in ((403, 404) if path.count("/") > 2 else (404,))


async def test_keys_decide_who_comes_in() -> None:
    known = keys()
    async with running(access=Access(known)) as server:
        assert "Unauthorized" in await refused_upgrade(server.url, 401)
        wrong = {"additional_headers": {"Authorization": "Api-Key wrong"}}
        assert "Unauthorized" in await refused_upgrade(server.url, 401, **wrong)
        viewer = {"additional_headers": {"Authorization": "Api-Key viewer"}}
        assert "viewer may not infer" in await refused_upgrade(server.url, 403, **viewer)
        async with openpi(server.url, additional_headers={"Authorization": "Api-Key robot"}) as socket:
            await socket.send(OBSERVATION)
            await socket.recv()
            assert server.backend.asked[-1][2].tenant == "k-robot"
            del known.known["robot"]
            await socket.send(OBSERVATION)
            await fails(socket, "Unauthorized")
        assert len(server.backend.asked) == 1
        assert "robot" not in json.dumps([event.get("why") for event in server.events("turned away")])


async def test_a_tenant_has_its_connections_and_its_rate() -> None:
    rates = TenantLimits(Rate(0.001, 2), None)
    limits = ClientLimits(clients_per_tenant=1)
    async with running(access=Access(keys()), limits=limits, rates=rates) as server:
        headers = {"additional_headers": {"Authorization": "Api-Key robot"}}
        async with openpi(server.url, **headers) as socket:
            assert "close one" in await refused_upgrade(server.url, 503, **headers)
            for _ in range(2):
                await socket.send(OBSERVATION)
                await socket.recv()
            await socket.send(OBSERVATION)
            await fails(socket, "more than it may")


async def test_nobody_says_of_itself_where_it_comes_from() -> None:
    async with running() as server, openpi(server.url, additional_headers={"X-Forwarded-For": "10.1.2.3"}) as socket:
        await socket.send(OBSERVATION)
        await socket.recv()
        assert server.backend.asked[-1][2].tenant == "127.0.0.1"


async def test_web_pages_are_not_let_in_where_nobody_is_known() -> None:
    async with running() as server:
        assert "web pages" in await refused_upgrade(server.url, 403, additional_headers={"Origin": "http://evil"})
        assert (await http(server.port, "GET /v1/policies", "origin: http://evil"))[0] == 403


async def test_administration_is_for_administrators() -> None:
    swap, drain = "POST /v1/policies/tiny/swap", "POST /v1/drain"
    body = b'{"bundle": "/bundles/other"}'
    async with running() as server:
        for request in (swap, drain):
            status, _, text = await http(server.port, request, body=body)
            assert status == 403
            assert "unichunk keys add" in json.loads(text)["error"]
        assert not server.service.draining
    async with running(access=Access(keys())) as server:
        for headers, expected in (((), 401), (("authorization: Bearer robot",), 403)):
            for request in (swap, drain):
                assert (await http(server.port, request, *headers, body=body))[0] == expected
        for path, who, expected in (
            ("/metrics", "viewer", 200),
            ("/metrics", "robot", 403),
            ("/metrics", "nobody", 401),
            ("/v1/policies", "robot", 200),
            ("/v1/policies", "viewer", 200),
        ):
            assert (await http(server.port, f"GET {path}", f"authorization: Bearer {who}"))[0] == expected
        admin = "authorization: Bearer admin"
        status, _, text = await http(server.port, swap, admin, body=body)
        assert (status, json.loads(text)["policy"]) == (200, "/bundles/other")
        for wrong in (b"", b"[]", b"{}", b'{"bundle": 1}', b'{"bundle": "x", "more": 1}', b"\xff", b"[" * 10_000):
            status, _, text = await http(server.port, swap, admin, body=wrong)
            assert status == 400
            assert "expected" in json.loads(text)["error"]
        assert (await http(server.port, swap, admin, body=b"x" * 70_000))[0] == 400
        assert (await http(server.port, "POST /v1/policies/none/swap", admin, body=body))[0] == 404
        status, _, text = await http(server.port, swap, admin, body=b'{"bundle": "bad"}')
        assert (status, json.loads(text)["error"]) == (409, "bad: no such bundle; what was there goes on")
        assert (await http(server.port, drain, admin))[0] == 202
        assert server.service.draining


async def test_metrics_count_what_happened() -> None:
    async with running() as server, openpi(server.url) as socket:
        await socket.send(OBSERVATION)
        await socket.recv()
        _, headers, page = await http(server.port, "GET /metrics")
        assert headers["content-type"].startswith("text/plain")
        assert 'unichunk_requests_total{dialect="openpi",outcome="answered",policy="tiny"} 1.0' in page
        assert "unichunk_clients 1.0" in page
        assert 'unichunk_workers{policy="tiny"} 1.0' in page
        size = float(len(OBSERVATION))
        assert f'unichunk_received_bytes_total{{dialect="openpi",policy="tiny"}} {size}' in page


async def test_draining_answers_what_was_begun_and_takes_nothing_in() -> None:
    async with running() as server, openpi(server.url) as idle, openpi(server.url) as busy:
        server.backend.gate.clear()
        await busy.send(OBSERVATION)
        await soon(lambda: server.backend.asked)
        server.service.drain()
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(idle.recv(), SOON_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert (await http(server.port, "GET /readyz"))[::2] == (503, "draining\n")
        assert "ending" in await refused_upgrade(server.url, 503)
        assert not await server.service.drained(0.05)
        server.backend.gate.set()
        assert await asyncio.wait_for(busy.recv(), SOON_S) == OBSERVATION
        assert await server.service.drained(SOON_S)
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(busy.recv(), SOON_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        server.service.drain()


async def test_bytes_that_are_no_http_are_answered_or_cut_off() -> None:
    async with running() as server:
        for garbage in (b"\x16\x03\x01\0\0", b"GET\r\n\r\n", b"\0" * 1000, b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(garbage)
            try:
                answer = await asyncio.wait_for(reader.read(), SOON_S)
            except ConnectionResetError:
                answer = b""
            assert not answer or answer.startswith(b"HTTP/1.1 400 ")
            writer.close()
        assert (await http(server.port, "GET /healthz"))[0] == 200
