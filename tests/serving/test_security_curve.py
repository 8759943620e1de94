"""CurveZMQ with real sockets: known clients come in and are known by name, nobody else does, nothing else is spoken."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import zmq
import zmq.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.server.private_file import PrivateFileError
from unichunk.server.serving.curve import LOOK_EVERY_S, USER_ID, CurveDoor
from unichunk.server.serving.curve_files import add_client, make_server_pair
from unichunk.server.serving.identity import Role
from unichunk.server.usage_error import UsageError
from unichunk.server.wire.curve import ClientPair, load_client_pair, load_server_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WAIT_S = 20.0
SILENCE_S = 0.4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    server, _ = make_server_pair(tmp_path / "curve")
    add_client(tmp_path / "curve", "arm-1", Role.ROBOT, server)
    add_client(tmp_path / "curve", "boss", Role.ADMIN, server)
    return tmp_path / "curve"


class House:
    """A guarded ROUTER with its door's task, on a clock of the test's."""

    def __init__(self, folder: Path, *, answers: bool = True) -> None:
        self.now = 0.0
        self.context = zmq.Context()
        self.door = CurveDoor(folder, clock=lambda: self.now)
        if answers:
            self.door.open(self.context)
        self.router = zmq.asyncio.Socket(self.context, zmq.ROUTER)
        self.door.guard(self.router)
        self.port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.task = asyncio.ensure_future(self.door.serve()) if answers else None
        self.clients: list[zmq.asyncio.Socket] = []

    async def __aenter__(self) -> House:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        self.door.close()
        for socket in [self.router, *self.clients]:
            socket.close(0)
        self.context.term()

    def call(self, prepare: Callable[[zmq.asyncio.Socket], object] = lambda _: None) -> zmq.asyncio.Socket:
        client = zmq.asyncio.Socket(self.context, zmq.DEALER)
        prepare(client)
        client.connect(f"tcp://127.0.0.1:{self.port}")
        client.send(b"hello")
        self.clients.append(client)
        return client

    async def heard(self, wait_s: float = WAIT_S) -> zmq.Frame | None:
        """The next message's last frame; None where none comes in time."""
        if not await self.router.poll(int(wait_s * 1000)):
            return None
        frames: Sequence[zmq.Frame] = await self.router.recv_multipart(copy=False)
        return frames[-1]


def test_a_known_client_comes_in_and_its_frames_say_who_it_is(folder: Path) -> None:
    async def main() -> None:
        async with House(folder) as house:
            for name, role in (("arm-1", Role.ROBOT), ("boss", Role.ADMIN)):
                house.call(load_client_pair(folder / f"{name}.client.json").use)
                frame = await house.heard()
                assert frame is not None
                identity = house.door.clients.identity(frame.get(USER_ID))
                assert identity is not None
                assert (identity.name, identity.role) == (name, role)
                assert house.door.clients.is_current(identity)

    asyncio.run(main())


def test_nobody_else_comes_in(folder: Path) -> None:
    known = load_client_pair(folder / "arm-1.client.json")
    public, secret = (key.decode() for key in zmq.curve_keypair())
    other_server = zmq.curve_keypair()[0].decode()

    def plain(socket: zmq.asyncio.Socket) -> None:
        socket.setsockopt(zmq.PLAIN_USERNAME, b"admin")
        socket.setsockopt(zmq.PLAIN_PASSWORD, b"admin")

    async def main() -> None:
        async with House(folder) as house:
            house.call(ClientPair(public=public, secret=secret, server=known.server).use)
            house.call(ClientPair(public=known.public, secret=known.secret, server=other_server).use)
            house.call()
            house.call(plain)
            assert await house.heard(SILENCE_S) is None
            # The door was not merely slow: a known one passes meanwhile.
            house.call(known.use)
            assert await house.heard() is not None
            assert await house.heard(SILENCE_S) is None

    asyncio.run(main())


def test_without_somebody_who_answers_nobody_comes_in(folder: Path) -> None:
    async def main() -> None:
        async with House(folder, answers=False) as house:
            house.call(load_client_pair(folder / "arm-1.client.json").use)
            assert await house.heard(SILENCE_S) is None

    asyncio.run(main())


def test_a_client_whose_file_goes_is_locked_out_and_one_whose_file_comes_is_let_in(folder: Path) -> None:
    async def main() -> None:
        async with House(folder) as house:
            client = house.call(load_client_pair(folder / "arm-1.client.json").use)
            frame = await house.heard()
            assert frame is not None
            identity = house.door.clients.identity(frame.get(USER_ID))
            assert identity is not None
            (folder / "clients" / "arm-1.json").unlink()
            house.now += LOOK_EVERY_S
            # Its connection is still there, but what comes on it is nobody's.
            await client.send(b"again")
            frame = await house.heard()
            assert frame is not None
            assert house.door.clients.identity(frame.get(USER_ID)) is None
            assert not house.door.clients.is_current(identity)
            house.call(load_client_pair(folder / "arm-1.client.json").use)
            assert await house.heard(SILENCE_S) is None
            path = add_client(folder, "arm-2", Role.ROBOT, load_server_pair(folder / "server.json"))
            house.now += LOOK_EVERY_S
            house.call(load_client_pair(path).use)
            assert await house.heard() is not None

    asyncio.run(main())


def test_a_context_has_one_door(folder: Path) -> None:
    async def main() -> None:
        async with House(folder) as house:
            with pytest.raises(PrivateFileError, match="one handler"):
                CurveDoor(folder).open(house.context)

    asyncio.run(main())


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=9))
def test_any_question_is_answered_and_only_a_known_key_with_yes(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "curve-questions"
    make_server_pair(folder)
    door = CurveDoor(folder)
    answer = door.answer(frames)
    assert len(answer) == 6
    assert answer[1] == (frames[1] if len(frames) > 1 else b"")
    assert answer[2] in {b"400", b"500"}


def test_only_curve_of_our_domain_is_answered_with_yes(folder: Path) -> None:
    door = CurveDoor(folder)
    key = next(iter(door.clients._by_key))
    good = [b"1.0", b"7", b"unichunk", b"127.0.0.1", b"", b"CURVE", key]
    *said, user, nothing = door.answer(good)
    assert (said, nothing) == ([b"1.0", b"7", b"200", b"OK"], b"")
    assert door.clients.identity(user.decode()) == door.clients.identify(key)
    for place, other in ((0, b"2.0"), (2, b""), (5, b"NULL"), (5, b"PLAIN"), (6, key[:-1]), (6, bytes(32))):
        assert door.answer([*good[:place], other, *good[place + 1 :]])[2] != b"200"
    assert door.answer([*good, key])[2] != b"200"


def test_a_spoiled_client_file_keeps_the_clients_and_says_so(folder: Path) -> None:
    now = 0.0
    door = CurveDoor(folder, clock=lambda: now)
    (folder / "clients" / "bad.json").write_text("{}")
    now += LOOK_EVERY_S
    assert len(door.clients) == 2
    assert "bad.json" in door.clients.trouble
    assert "\n" not in door.clients.trouble
    (folder / "clients" / "bad.json").unlink()
    now += LOOK_EVERY_S
    assert len(door.clients) == 2
    assert door.clients.trouble == ""


@pytest.mark.parametrize("file", ["server.json", "arm-1.client.json"])
def test_secret_files_are_private_checked_and_never_printed(folder: Path, file: str) -> None:
    path = folder / file
    load = load_server_pair if file == "server.json" else load_client_pair
    assert path.stat().st_mode & 0o777 == 0o600
    pair = load(path)
    assert pair.secret not in repr(pair) + str(pair)
    content = json.loads(path.read_text())
    for field, value in (("secret", content["public"]), ("public", "x" * 40), ("secret", "short"), ("extra", "1")):
        path.write_text(json.dumps(content | {field: value}))
        with pytest.raises(PrivateFileError) as error:
            load(path)
        assert "\n" not in str(error.value)
        assert content["secret"] not in str(error.value)
    path.chmod(0o644)
    with pytest.raises(PrivateFileError, match="chmod 600"):
        load(path)


@pytest.mark.parametrize("name", ["../arm", "a/b", "", ".hidden", "a\nb", "a" * 64, "ä"])
def test_a_clients_name_is_a_file_name(folder: Path, name: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(UsageError):
        add_client(folder, name, Role.ROBOT, load_server_pair(folder / "server.json"))
    assert sorted(folder.rglob("*")) == before


def test_keys_that_are_there_are_not_replaced(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    pair, made = make_server_pair(folder)
    assert not made
    with pytest.raises(PrivateFileError, match="already"):
        add_client(folder, "arm-1", Role.ADMIN, pair)
    (folder / "clients" / "boss.json").unlink()
    with pytest.raises(PrivateFileError, match="already"):
        add_client(folder, "boss", Role.ADMIN, pair)
    before.pop(folder / "clients" / "boss.json")
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before


def test_two_files_with_one_key_are_refused(folder: Path) -> None:
    content = json.loads((folder / "clients" / "arm-1.json").read_text())
    (folder / "clients" / "twin.json").write_text(json.dumps(content | {"name": "twin", "role": "admin"}))
    with pytest.raises(PrivateFileError, match="once"):
        CurveDoor(folder)
