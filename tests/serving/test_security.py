"""The server under attack: what strangers, other robots and web pages try, and must not get."""

from __future__ import annotations

import asyncio
import re
import resource
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import uvicorn
import zmq
import zmq.asyncio
from uvicorn.server import ServerState

from tests.serving.attacked import BINARY, CONTINUED, PING, WAIT_S, Attacked, frame, push, until_closed
from unichunk.embodiments.link.codec import encode
from unichunk.server.serve_command import Serve
from unichunk.server.serving import http_protocol, websocket_bounds
from unichunk.server.serving.curve import CurveDoor
from unichunk.server.serving.curve_files import add_client, make_server_pair
from unichunk.server.serving.exposure import is_local_endpoint, is_loopback
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import read_keys, write_keys
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.session import Session, Sessions
from unichunk.server.serving.zmq_router import Router
from unichunk.server.usage_error import UsageError
from unichunk.server.wire.curve import load_client_pair
from unichunk.server.wire.lean import RESPONSES, Hello, Infer, NeedAll, Ping, Refused, Welcome

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

UNAUTHORIZED = "Unauthorized: Invalid API token"
JUNK = b"\x81\xa1x\xdd" + struct.pack(">I", 2**21) + b"\0" * 2**21
"""Two million values in two megabytes."""


def play(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 4 * WAIT_S))


def groot(endpoint: str, token: str | None = None, **more: Any) -> bytes:
    return msgspec.msgpack.encode({"endpoint": endpoint, **({} if token is None else {"api_token": token}), **more})


async def request(socket: zmq.asyncio.Socket, message: bytes) -> Any:
    """One request of a REQ socket, and its answer."""
    await socket.send(message)
    return msgspec.msgpack.decode(await asyncio.wait_for(socket.recv(), WAIT_S))


async def lean(socket: zmq.asyncio.Socket, message: Any) -> Any:
    """One message of a lean DEALER, and the next answer."""
    await socket.send(encode(message))
    while not (answer := await asyncio.wait_for(socket.recv(), WAIT_S)):
        pass
    return RESPONSES.decode(answer)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; the test's own limit ends it."""
    while not condition():
        await asyncio.sleep(0.005)


def resident_bytes() -> int:
    """Memory that this process really has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


# Who may do what


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("GET", "/healthz", {"", "robot", "viewer", "admin"}),
        ("GET", "/readyz", {"", "robot", "viewer", "admin"}),
        ("GET", "/metrics", {"viewer", "admin"}),
        ("GET", "/v1/policies", {"robot", "viewer", "admin"}),
        ("POST", "/v1/policies/tiny/swap", {"admin"}),
        ("POST", "/v1/drain", {"admin"}),
    ],
)
def test_each_role_gets_what_it_is_for_and_nothing_else(tmp_path: Path, method: str, path: str, who: set[str]) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            for role in ("robot", "viewer", "", "admin"):
                status, answer = await server.ask(method, path, key=server.keys.get(role), body=b'{"bundle": "good"}')
                assert (status < 300) == (role in who)
                if role not in who:
                    assert status == (403 if role else 401)
                    assert server.keys.get(role, "nothing").encode() not in answer
                    assert not server.service.draining

    play(main())


def test_only_robots_and_administrators_infer(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            for path in ("/", "/other", "/tiny/d1"):
                for role, expected in (("robot", 101), ("admin", 101), ("viewer", 403), ("", 401)):
                    status, _, writer = await server.websocket(path, key=server.keys.get(role))
                    assert status == expected
                    writer.close()
                status, _, _ = await server.websocket(path, key=server.keys["robot"][:-1])
                assert status == 401

    play(main())


def test_without_a_key_groot_clients_get_nothing_and_end_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            client = server.dealer(kind=zmq.REQ)
            for endpoint in ("kill", "get_action", "reset", "get_modality_config"):
                for token in (None, "", "x", server.keys["viewer"]):
                    assert await request(client, groot(endpoint, token)) == {"error": UNAUTHORIZED}
            assert await request(client, groot("kill", server.keys["robot"])) == {"error": UNAUTHORIZED}
            assert not server.service.draining
            assert server.inferred == 0
            assert await request(client, groot("kill", server.keys["admin"])) is None
            assert server.service.draining

    play(main())


def test_where_no_keys_are_asked_for_nobody_ends_or_swaps(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, asks_for_keys=False) as server:
            client = server.dealer(kind=zmq.REQ)
            assert "error" in await request(client, groot("kill"))
            assert "error" in await request(client, groot("kill", server.keys["admin"]))
            for path in ("/v1/drain", "/v1/policies/tiny/swap"):
                status, _ = await server.ask("POST", path, key=server.keys["admin"], body=b'{"bundle": "x"}')
                assert status == 403
            assert not server.service.draining

    play(main())


def test_a_revoked_key_ends_on_connections_that_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.serving.api_keys.LOOK_EVERY_S", 0.0)

    async def main() -> None:
        async with Attacked(tmp_path) as server:
            status, reader, writer = await server.websocket(key=server.keys["robot"])
            assert status == 101
            client = server.dealer()
            assert isinstance(await lean(client, Hello(protocol=1, key=server.keys["robot"])), Welcome)
            keys, _ = read_keys(server.key_file)
            write_keys(server.key_file, [key for key in keys if key.role is not Role.ROBOT])
            writer.write(frame(BINARY, msgspec.msgpack.encode({"prompt": "go"})))
            await asyncio.wait_for(reader.readuntil(UNAUTHORIZED.encode()), WAIT_S)
            answer = await lean(client, Infer(id=1, number=0, fields={}, within_s=10))
            assert isinstance(answer, Refused)
            assert answer.kind == "key"
            assert server.inferred == 0

    play(main())


def test_web_pages_get_nothing_where_no_keys_are_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, asks_for_keys=False) as server:
            status, _, _ = await server.websocket(headers="Origin: https://evil.example\r\n")
            assert status == 403
            status, _, _ = await server.websocket(lean=True, headers="Origin: https://evil.example\r\n")
            assert status == 403
            status, _ = await server.ask("GET", "/metrics", headers={"Origin": "https://evil.example"})
            assert status == 403

    play(main())


def test_a_page_whose_name_has_this_machines_address_reads_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, asks_for_keys=False) as server:
            for path, expected in (("/metrics", 403), ("/v1/policies", 403), ("/healthz", 200), ("/readyz", 200)):
                assert (await server.ask("GET", path, host="evil.example"))[0] == expected
            for host in ("127.0.0.1:8000", "127.0.0.1", "localhost:80", "[::1]:8000", "gpu", "[fe80::1]"):
                assert (await server.ask("GET", "/v1/policies", host=host))[0] == 200
            for host in ("evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example.", "1.2.3"):
                assert (await server.ask("GET", "/v1/policies", host=host))[0] == 403

    play(main())


def test_strangers_learn_no_names(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            server.backend.workers = 0
            for path in ("/readyz", "/healthz", "/v1/policies", "/metrics", "/tiny"):
                assert b"tiny" not in (await server.ask("GET", path))[1]

    play(main())


def test_a_list_of_keys_that_cannot_be_used_is_said_once_and_once_more_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unichunk.server.serving.api_keys.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("unichunk.server.serving.curve.LOOK_EVERY_S", 0.0)
    folder = tmp_path / "curve"
    pair, _ = make_server_pair(folder)
    add_client(folder, "arm", Role.ROBOT, pair)

    async def main() -> None:
        async with Attacked(tmp_path, curve=folder) as server:
            service = server.service
            service.look_at_keys()
            content = server.key_file.read_text(encoding="ascii")
            server.key_file.write_text("{", encoding="ascii")
            (folder / "clients" / "bad.json").write_text("{", encoding="ascii")
            service.look_at_keys()
            service.look_at_keys()
            server.key_file.write_text(content, encoding="ascii")
            (folder / "clients" / "bad.json").unlink()
            service.look_at_keys()
            service.look_at_keys()
        text = server.logged.getvalue()
        assert text.count("keys not renewed") == 2
        assert text.count("keys.json") == text.count("bad.json") == 1
        assert text.count("keys renewed") == 1

    play(main())


# Whose connection, whose session


def test_who_takes_over_a_gone_clients_name_is_not_taken_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:

            async def steals(name: bytes, pause_s: float) -> None:
                owner = server.dealer(name)
                assert isinstance(await lean(owner, Hello(protocol=1, key=server.keys["robot"])), Welcome)
                owner.close(0)
                await asyncio.sleep(pause_s)
                thief = server.dealer(name)
                for number in range(1, 20):
                    await thief.send(encode(Infer(id=number, number=0, fields={}, within_s=10)))
                    await asyncio.sleep(0.01)

            await asyncio.gather(steals(b"arm-1", 0.0), steals(b"arm-2", 0.01), steals(b"arm-3", 0.1))
            assert server.inferred == 0

    play(main())


def test_a_curve_client_cannot_take_over_another_ones_name(tmp_path: Path) -> None:
    folder = tmp_path / "curve"
    pair, _ = make_server_pair(folder)
    add_client(folder, "boss", Role.ADMIN, pair)
    add_client(folder, "arm", Role.ROBOT, pair)

    async def main() -> None:
        async with Attacked(tmp_path, curve=folder, asks_for_keys=False) as server:
            boss = server.dealer(b"x", kind=zmq.REQ, prepare=load_client_pair(folder / "boss.client.json").use)
            assert (await request(boss, groot("ping")))["status"] == "ok"
            boss.close(0)
            await asyncio.sleep(0.01)
            arm = server.dealer(b"x", kind=zmq.DEALER, prepare=load_client_pair(folder / "arm.client.json").use)
            for _ in range(10):
                await arm.send_multipart([b"", groot("kill")])
                await asyncio.sleep(0.01)
            assert not server.service.draining

    play(main())


def test_a_curve_client_that_was_locked_out_is_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.serving.curve.LOOK_EVERY_S", 0.0)
    folder = tmp_path / "curve"
    pair, _ = make_server_pair(folder)
    add_client(folder, "arm", Role.ROBOT, pair)

    async def main() -> None:
        # Also where no API keys are asked for: what CURVE does not know is not everybody.
        async with Attacked(tmp_path, curve=folder, asks_for_keys=False) as server:
            use = load_client_pair(folder / "arm.client.json").use
            silent = server.dealer(kind=zmq.REQ, prepare=use)
            known = server.dealer(kind=zmq.REQ, prepare=use)
            assert (await request(known, groot("ping")))["status"] == "ok"
            await asyncio.sleep(0.2)
            (folder / "clients" / "arm.json").unlink()
            assert "error" in await request(known, groot("get_action", data={}))
            assert "error" in await request(silent, groot("get_action", data={}))
            # Its name comes back, with another key.
            (folder / "arm.client.json").unlink()
            add_client(folder, "arm", Role.ROBOT, pair)
            assert "error" in await request(known, groot("get_action", data={}))
            assert "error" in await request(silent, groot("get_action", data={}))
            assert server.inferred == 0
            new = server.dealer(kind=zmq.REQ, prepare=load_client_pair(folder / "arm.client.json").use)
            assert (await request(new, groot("ping")))["status"] == "ok"

    play(main())


def test_a_session_is_resumed_by_its_owner_alone() -> None:
    sessions = Sessions(ClientLimits())
    hello = Hello(protocol=1)
    session, _ = sessions.open("owner", "tiny", "so101", hello, 0.0)
    assert len(session.id) >= 32
    again = Hello(protocol=1, session=session.id)
    assert sessions.open("thief", "tiny", "so101", again, 0.0)[0] is not session
    assert sessions.open("owner", "other", "so101", again, 0.0)[0] is not session
    assert sessions.open("owner", "tiny", "so101", again, 0.0)[0] is session


def test_one_client_does_not_push_out_the_sessions_of_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, limits=ClientLimits(sessions=20)) as server:
            victim, noisy = server.dealer(), server.dealer()
            first = await lean(victim, Hello(protocol=1, key=server.keys["robot"]))
            for _ in range(40):
                await lean(noisy, Hello(protocol=1, key=server.keys["admin"]))
            assert len(server.service.sessions) == 2
            again = await lean(victim, Hello(protocol=1, key=server.keys["robot"], session=first.session))
            assert again.resumed

    play(main())


def test_what_sessions_hold_is_counted_whoever_was_pushed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Session] = []

    async def main() -> None:
        async with Attacked(tmp_path, limits=ClientLimits(sessions=2)) as server:
            clients = [server.dealer() for _ in range(6)]
            sessions = server.service.sessions
            open_one = sessions.open

            def noted(*arguments: Any) -> tuple[Session, bool]:
                session, resumed = open_one(*arguments)
                opened.append(session)
                return session, resumed

            monkeypatch.setattr(sessions, "open", noted)
            for client in clients:
                assert isinstance(await lean(client, Hello(protocol=1, key=server.keys["robot"])), Welcome)
            picture = {"image": msgspec.Raw(msgspec.msgpack.encode(bytes(100_000)))}
            for number in (1, 2):
                for client in clients:
                    # Also who was pushed out is answered: it has sent everything.
                    answer = await lean(client, Infer(id=number, number=0, fields=picture, within_s=10))
                    assert not isinstance(answer, NeedAll)
                    assert 100_000 <= sessions.held_bytes == sum(one.fields.held_bytes for one in opened) < 300_000
            assert len(opened) == 6
            assert server.inferred == 12

    play(main())


# What strangers can hold up


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> ClientLimits:
    monkeypatch.setattr(http_protocol, "REQUEST_S", 0.3)
    monkeypatch.setattr(websocket_bounds, "CLOSE_S", 0.1)
    return ClientLimits(handshake_s=0.3)


async def drip(writer: asyncio.StreamWriter, piece: bytes) -> None:
    try:
        while True:
            writer.write(piece)
            await asyncio.sleep(0.05)
    except OSError:
        return


DAWDLING = {
    "silence": (b"", b""),
    "headers": (b"GET /healthz HTTP/1.1\r\n", b"a: b\r\n"),
    "second headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\n", b"a: b\r\n"),
    "body": (b"POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", b"x"),
    "empty lines": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
}


def test_who_dawdles_over_a_request_is_sent_away(tmp_path: Path, hurried: ClientLimits) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, limits=hurried) as server:

            async def dawdles(first: bytes, piece: bytes) -> bool:
                reader, writer = await server.connect()
                writer.write(first)
                dripping = asyncio.ensure_future(drip(writer, piece) if piece else asyncio.sleep(0))
                closed = await until_closed(reader, 10.0)
                dripping.cancel()
                return closed

            sent_away = await asyncio.gather(*(dawdles(*how) for how in DAWDLING.values()))
            assert dict(zip(DAWDLING, sent_away, strict=True)) == dict.fromkeys(DAWDLING, True)

    play(main())


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "second"])
def test_no_request_has_a_head_without_end(tmp_path: Path, before: bytes) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            reader, writer = await server.connect()
            if before:
                writer.write(before)
                await asyncio.wait_for(reader.readuntil(b"OK\n"), WAIT_S)
            writer.write(b"GET /healthz HTTP/1.1\r\n")
            sent = await push(writer, b"".join(b"x%d: %s\r\n" % (i, b"y" * 100) for i in range(500)), 64 << 20)
            # What the kernel holds, and no more.
            assert sent < 32 << 20

    play(main())


def test_a_lean_client_has_to_say_who_it_is_in_time(tmp_path: Path, hurried: ClientLimits) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, limits=hurried) as server:
            assert (await server.websocket(lean=True))[0] == 401
            opened = []
            for message in (b"", frame(BINARY, encode(Ping(id=1))), frame(BINARY, b"x" * 70_000)[:-1]):
                status, reader, writer = await server.websocket(lean=True, key=server.keys["robot"])
                assert status == 101
                writer.write(message)
                opened.append(reader)
            for reader in opened:
                assert await until_closed(reader, 10.0)

    play(main())


def test_strangers_connections_are_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, limits=ClientLimits(clients=8, clients_per_tenant=8)) as server:
            # None of them says hello, so none is a client yet.
            statuses = [(await server.websocket(lean=True, key=server.keys["robot"]))[0] for _ in range(80)]
            assert statuses == [101] * 72 + [503] * 8

    play(main())


def test_pings_that_nobody_reads_the_answers_of_do_not_fill_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_bounds, "MOST_UNREAD", 2 << 20)

    async def main() -> None:
        async with Attacked(tmp_path) as server:
            status, _, writer = await server.websocket(key=server.keys["robot"])
            assert status == 101
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            # What the kernel holds, and no more.
            assert await push(writer, frame(PING, b"x" * 125) * 2000, 48 << 20) < 32 << 20

    play(main())


def test_who_does_not_read_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_bounds, "CLOSE_S", 0.1)

    async def main() -> None:
        limits = ClientLimits(ping_interval_s=0.05, ping_timeout_s=0.2)
        async with Attacked(tmp_path, limits=limits) as server:
            status, _, writer = await server.websocket(key=server.keys["robot"])
            assert status == 101
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(frame(BINARY, b"x" * (16 << 20)))
            await until(lambda: server.inferred and not len(server.service.clients))

    play(main())


class Stuck(asyncio.Transport):
    """A connection whose peer has taken nothing: closing it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """It stays here."""

    def close(self) -> None:
        """Once it has left."""

    def abort(self) -> None:
        self.aborted.set()

    def is_closing(self) -> bool:
        return self.aborted.is_set()

    def get_write_buffer_size(self) -> int:
        return 1


def test_a_closed_connection_does_not_wait_for_its_peer_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_bounds, "CLOSE_S", 0.01)

    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1008})

    async def main() -> None:
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        config.load()
        protocol = websocket_bounds.BoundedWebSocketProtocol(config, ServerState(), {})
        stuck = Stuck()
        protocol.connection_made(stuck)
        protocol.data_received(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await stuck.aborted.wait()
        protocol.connection_lost(None)

    play(main())


@pytest.mark.parametrize("data", [b"", b"x"])
def test_a_message_in_endless_pieces_is_given_up(tmp_path: Path, data: bytes) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, limits=ClientLimits(message_bytes=1 << 20)) as server:
            status, reader, writer = await server.websocket(key=server.keys["robot"])
            assert status == 101
            writer.write(frame(BINARY, b"x", last=False))
            writer.write(frame(CONTINUED, data, last=False) * 100_000)
            assert await until_closed(reader, 10.0)

    play(main())


def test_the_head_of_a_long_frame_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            before = resident_bytes()
            for _ in range(8):
                status, _, writer = await server.websocket(key=server.keys["robot"])
                assert status == 101
                writer.write(b"\x82\xff" + struct.pack(">Q", 60 << 20) + bytes(4) + b"x" * 1000)
            # All of it has been taken in once somebody else was answered.
            for _ in range(3):
                await server.ask("GET", "/healthz")
            assert resident_bytes() - before < 120 << 20

    play(main())


def test_a_zmq_message_of_very_many_parts_is_not_taken_in_at_once(tmp_path: Path) -> None:
    parts: list[Sequence[zmq.Frame]] = []

    async def main() -> None:
        context = zmq.Context()
        router = Router(context, "tcp://127.0.0.1:*", message_bytes=1 << 20)
        router.start(lambda _, message: parts.append(message), lambda _: None)
        client = zmq.asyncio.Socket(context, zmq.DEALER)
        client.connect(router.endpoint)
        await client.send_multipart([b"x"] * 2000)
        await client.send_multipart([b"good"])
        while not parts or bytes(parts[-1][-1].buffer) != b"good":
            await asyncio.sleep(0.01)
        client.close(0)
        router.close()
        context.destroy(0)

    play(main())
    assert max(map(len, parts)) <= 32


def test_longer_messages_than_allowed_end_the_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path, limits=ClientLimits(message_bytes=1 << 20)) as server:
            status, reader, writer = await server.websocket(key=server.keys["robot"])
            assert status == 101
            writer.write(frame(BINARY, b"x" * ((1 << 20) + 1)))
            assert await until_closed(reader)
            reader, writer = await server.zmtp()
            writer.write(b"\x02" + struct.pack(">Q", (1 << 20) + 1))
            assert await until_closed(reader)
            assert server.inferred == 0

    play(main())


def test_millions_of_values_are_not_skipped_over_in_the_event_loop(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            status, reader, writer = await server.websocket(key=server.keys["robot"])
            assert status == 101
            writer.write(frame(BINARY, JUNK))
            await asyncio.wait_for(reader.readuntil(b"values"), WAIT_S)
            client = server.dealer(kind=zmq.REQ)
            junk = b"\x82\xa9api_token\xd9" + bytes([len(server.keys["robot"])]) + server.keys["robot"].encode()
            answer = await request(client, junk + b"\xa4data" + JUNK)
            assert "values" in answer["error"]
            assert server.inferred == 0

    play(main())


# What is said, and where


NASTY = ["../../etc/passwd", "%2e%2e%2fetc", "a%00b", "a%0d%0aSet-Cookie:%20x=1", "%f0%9f%90%89", "a" * 4000, "..", "%"]


def test_names_that_are_paths_or_lines_are_nobodys_policy(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            for name in NASTY:
                for path in (f"/{name}", f"/tiny/{name}"):
                    status, _, writer = await server.websocket(path, key=server.keys["robot"])
                    assert status in {400, 403, 404}
                    writer.close()
                status, answer = await server.ask(
                    "POST", f"/v1/policies/{name}/swap", key=server.keys["admin"], body=b'{"bundle": "good"}'
                )
                assert status in {400, 404, 405}
                assert b"Set-Cookie" not in answer.partition(b"\r\n\r\n")[0]
                assert b"Traceback" not in answer

    play(main())


def test_a_swap_of_anything_else_is_refused_in_one_line(tmp_path: Path) -> None:
    bodies = [b"", b"[]", b'{"bundle": ""}', b'{"bundle": 1}', b'{"bundle": "good", "x": 1}', b"[" * 60_000]

    async def main() -> None:
        async with Attacked(tmp_path) as server:
            for body in (*bodies, b"x" * 70_000):
                status, answer = await server.ask("POST", "/v1/policies/tiny/swap", key=server.keys["admin"], body=body)
                assert status == 400
                said = answer.partition(b"\r\n\r\n")[2]
                assert len(said.splitlines()) == 1
                assert len(said) < 1000

    play(main())


def test_nothing_that_anybody_sends_makes_a_line_of_the_log_or_brings_a_key_into_it(tmp_path: Path) -> None:
    evil = "x\n00:00:00.000 info swapped by=admin\r\x1b[2J\u2028\u202e\x00"

    async def main() -> None:
        async with Attacked(tmp_path) as server:
            key = server.keys["robot"]
            guess = "uck_aaaaaaaa_" + "b" * 52
            for attempt in (key, guess, evil):
                client = server.dealer()
                for hello in (
                    Hello(protocol=1, key=attempt, policy=evil),
                    Hello(protocol=1, key=attempt, embodiment=evil),
                    Hello(protocol=1, key=attempt, session=evil),
                ):
                    await lean(client, hello)
                await client.send(b"\xc1" + evil.encode())
                asking = server.dealer(kind=zmq.REQ)
                await request(asking, groot(evil, attempt))
                await request(asking, groot("get_action", attempt, data={evil: evil}))
            await server.websocket("/%0a%1b[2J", key=key)
            await server.websocket("/tiny/%0a%1b[2J", key=key)
            status, _, writer = await server.websocket(key=key)
            assert status == 101
            writer.write(frame(BINARY, evil.encode()))
            await server.ask("GET", "/%0a%0d", key=guess, headers={"User-Agent": "\x1b[2J"})
            await server.ask(
                "POST",
                "/v1/policies/tiny/swap",
                key=server.keys["admin"],
                body=msgspec.json.encode({"bundle": evil}),
            )
            page = str(server.metrics.page()[0])
        text = server.logged.getvalue()
        secrets = [*server.keys.values(), guess]
        for secret in secrets:
            assert secret not in text
            assert secret.rpartition("_")[2] not in text
            assert secret not in page
        assert "swapped by=admin" not in re.sub(r'"[^"\n]*(\\.[^"\n]*)*"', "", text)
        for line in text.split("\n")[:-1]:
            assert line.isprintable()
            assert re.match(r"\d\d:\d\d:\d\d\.\d{3} (debug|info|warning|error) ", line)

    play(main())


def test_trying_keys_all_day_does_not_fill_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        async with Attacked(tmp_path) as server:
            client = server.dealer(kind=zmq.REQ)
            for _ in range(200):
                assert await request(client, groot("get_action", "x")) == {"error": UNAUTHORIZED}
            # And whoever has a key is let in from the same address.
            assert await request(client, groot("reset", server.keys["robot"])) == {}
        assert server.logged.getvalue().count("turned away") < 20

    play(main())


# Loopback only


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"])
def test_loopback_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0",
        "*",
        "0.0.0.0",
        "::",
        "[::]",
        "::ffff:0.0.0.0",
        "192.0.2.1",
        "2001:db8::1",
        "fe80::1",
        "no.such.host.invalid",
        "127.0.0.1.",
        "127.0.0.1\0",
        "a" * 300,
        "ä" * 300,
        "lo",
    ],
)
def test_everything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_a_name_of_loopback_and_another_address_is_not_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for addresses, expected in ((("127.0.0.1", "::1"), True), (("127.0.0.1", "192.0.2.1"), False), ((), False)):
        found = [(0, 0, 0, "", (address, 0)) for address in addresses]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, found=found, **__: found)
        assert is_loopback("some.name") == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "no.such.host.invalid"])
def test_beyond_loopback_nothing_is_left_off_by_mistake(host: str, tmp_path: Path) -> None:
    file = tmp_path / "x"
    parts: dict[str, Any] = {"keys": file, "tls_cert": file, "tls_key": file, "curve": file}
    Serve(host=host, **parts)._check()
    for missing in ("keys", "tls_cert", "curve"):
        given = {name: value for name, value in parts.items() if not name.startswith(missing[:3])}
        with pytest.raises(UsageError, match=f"--{missing.replace('_', '-')}"):
            Serve(host=host, **given)._check()
    Serve(host=host, zmq=False, **{**parts, "curve": None})._check()


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("tcp://127.0.0.1:5555", True),
        ("tcp://[::1]:5555", True),
        ("tcp://lo:5555", True),
        ("ipc:///run/x", True),
        ("tcp://*:5555", False),
        ("tcp://0.0.0.0:5555", False),
        ("tcp://[::]:5555", False),
        ("tcp://:5555", False),
        ("tcp://192.0.2.1:5555", False),
        ("tcp://127.0.0.1:1;tcp://0.0.0.0:2", False),
        ("udp://127.0.0.1:5555", False),
        ("", False),
    ],
)
def test_zmq_endpoints_are_judged_alike(endpoint: str, *, local: bool) -> None:
    assert is_local_endpoint(endpoint) == local


def test_the_door_refuses_what_it_cannot_guard(tmp_path: Path) -> None:
    folder = tmp_path / "curve"
    make_server_pair(folder)
    door = CurveDoor(folder)
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    door.guard(socket)
    assert socket.getsockopt(zmq.CURVE_SERVER) == 1
    assert socket.getsockopt(zmq.ZAP_ENFORCE_DOMAIN) == 1
    assert socket.getsockopt(zmq.MECHANISM) == zmq.CURVE
    context.destroy(0)
