"""The parts of the front that know no socket: sessions, clients, time limits, logs, notices to systemd."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.one_line import refused
from unichunk.embodiments.link.codec import encode
from unichunk.server.serving.access import ANYONE, Access
from unichunk.server.serving.backend import Busy
from unichunk.server.serving.clients import Clients
from unichunk.server.serving.identity import Identity, Right, Role
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log
from unichunk.server.serving.refusals import KeyRefused, NotAllowed
from unichunk.server.serving.sd_notify import notify, watchdog_s
from unichunk.server.serving.session import Session, Sessions
from unichunk.server.serving.time_limit import time_limit
from unichunk.server.serving.websocket import fitting
from unichunk.server.wire.lean import Hello, Infer

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.serving.clients import Client

LIMITS = ClientLimits(clients=6, clients_per_tenant=3, sessions=4, session_bytes=1500, keep_alive_s=100.0)
TENANTS = st.sampled_from(["anna", "ben"])


def _pick(data: Any, names: dict[str, Any]) -> str:
    """One of them, by its place: names of sessions are random."""
    return list(names)[data.draw(st.integers(0, len(names) - 1))]


class SessionsMachine(RuleBasedStateMachine):
    """Sessions of a few tenants over a long time, against a plain account of what each client sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions = Sessions(LIMITS)
        self.now = 0.0
        self.known: dict[str, tuple[str, str]] = {}
        self.live: dict[str, Session] = {}
        self.sent: dict[str, dict[str, bytes]] = {}
        self.last: dict[str, int] = {}

    @rule(tenant=TENANTS, robot=st.sampled_from(["so101", "d1"]), seed=st.integers(0, 5))
    def new(self, tenant: str, robot: str, seed: int) -> None:
        session, resumed = self.sessions.open(tenant, "tiny", robot, Hello(protocol=1, seed=seed), self.now)
        assert not resumed
        assert session.id not in self.known
        self.known[session.id] = (tenant, robot)
        self._begin(session)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), tenant=TENANTS, robot=st.sampled_from(["so101", "d1"]))
    def resume(self, data: Any, tenant: str, robot: str) -> None:
        name = _pick(data, self.known)
        session, resumed = self.sessions.open(tenant, "tiny", robot, Hello(protocol=1, session=name), self.now)
        if resumed:
            assert self.known[name] == (tenant, robot)
            assert session is self.live[name]
            assert self.now - session.heard_s <= LIMITS.keep_alive_s
        else:
            assert session.id not in self.known
            self.known[session.id] = (tenant, robot)
            self._begin(session)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), base=st.booleans(), size=st.integers(0, 800), name=st.sampled_from("abc"))
    def infer(self, data: Any, base: bool, size: int, name: str) -> None:
        session = self.live[_pick(data, self.live)]
        value = msgspec.msgpack.encode(b"x" * size)
        number = self.last[session.id] + 1
        request = Infer(
            id=number,
            number=number,
            base=self.last[session.id] if base else 0,
            fields={name: msgspec.Raw(value)},
            within_s=1.0,
        )
        payload = self.sessions.take(session, request, encode(request), self.now)
        if payload is None:
            assert base
            return
        before = self.sent[session.id] if base else {}
        _, inherited = msgspec.msgpack.decode(payload, type=tuple[bytes, dict[str, msgspec.Raw]])
        assert {key: bytes(raw) for key, raw in inherited.items()} == {k: v for k, v in before.items() if k != name}
        self.sent[session.id] = {**before, name: value}
        self.last[session.id] = number

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def close(self, data: Any) -> None:
        session = self.live.pop(_pick(data, self.live))
        self.sessions.close(session)
        self.sessions.close(session)

    @rule(seconds=st.sampled_from([1.0, 60.0, 101.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def bounded(self) -> None:
        assert len(self.sessions) <= LIMITS.sessions
        held = [session.fields.held_bytes for session in self.live.values() if self._kept(session)]
        assert self.sessions.held_bytes == sum(held)
        assert self.sessions.held_bytes <= max(LIMITS.session_bytes, *held, 0)
        assert not any(session.fields.held_bytes for session in self.live.values() if not self._kept(session))

    def _kept(self, session: Session) -> bool:
        return self.sessions._sessions.get(session.id) is session

    def _begin(self, session: Session) -> None:
        self.live[session.id] = session
        self.sent[session.id] = {}
        self.last[session.id] = 0


def test_who_has_most_makes_room() -> None:
    sessions = Sessions(ClientLimits(sessions=5, session_bytes=4000))
    value = {"image": msgspec.Raw(msgspec.msgpack.encode(bytes(900)))}

    def infer(session: Session, number: int) -> None:
        request = Infer(id=number, number=number, fields=value, within_s=1.0)
        sessions.take(session, request, encode(request), 0.0)

    def opened(tenant: str) -> Session:
        session, _ = sessions.open(tenant, "tiny", "so101", Hello(protocol=1), 0.0)
        infer(session, 1)
        return session

    quiet = [opened("quiet"), opened("quiet")]
    noisy = [opened("noisy") for _ in range(20)]
    assert all(session.fields.held_bytes for session in [*quiet, *noisy[-2:]])
    assert not any(session.fields.held_bytes for session in noisy[:-2])
    for number in range(2, 10):
        infer(noisy[0], number)
    assert len(sessions) == 5
    assert all(session.fields.held_bytes for session in quiet)


SessionsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestSessions = SessionsMachine.TestCase


class ClientsMachine(RuleBasedStateMachine):
    """Who comes and goes, against a list."""

    def __init__(self) -> None:
        super().__init__()
        self.clients = Clients(LIMITS, seed=10)
        self.there: list[Client] = []
        self.names: set[str] = set()

    @rule(tenant=TENANTS)
    def enter(self, tenant: str) -> None:
        have = sum(client.tenant == tenant for client in self.there)
        if len(self.there) >= LIMITS.clients or have >= LIMITS.clients_per_tenant:
            with pytest.raises(Busy) as caught:
                self.clients.enter("ws", tenant, ANYONE, "::1")
            assert caught.value.retry_after_s > 0
            return
        client = self.clients.enter("ws", tenant, ANYONE, "::1")
        assert client.name not in self.names
        assert client.seed == 10 + len(self.names)
        self.names.add(client.name)
        self.there.append(client)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        client = self.there.pop(data.draw(st.integers(0, len(self.there) - 1)))
        assert self.clients.leave(client)
        assert not self.clients.leave(client)

    @invariant()
    def counted(self) -> None:
        assert len(self.clients) == len(self.there)
        assert list(self.clients) == self.there


ClientsMachine.TestCase.settings = settings(max_examples=25, deadline=None)
TestClients = ClientsMachine.TestCase


def test_without_keys_everybody_may_infer_and_nobody_administers() -> None:
    access = Access()
    assert access.identify(None) is access.identify("anything") is ANYONE
    access.check(ANYONE, Right.INFER)
    access.check(ANYONE, Right.READ)
    with refused(NotAllowed, "unichunk keys add", "--keys"):
        access.check(ANYONE, Right.ADMINISTER)
    assert access.tenant(ANYONE, "10.0.0.1") == "10.0.0.1"
    assert access.tenant(ANYONE, "") == "local"


def test_who_came_by_curve_is_checked_though_no_keys_are_asked_for() -> None:
    somebody = Identity("curve-arm", "arm", Role.VIEWER)

    class Door:
        there = True
        trouble = ""

        def is_current(self, identity: Identity) -> bool:
            return self.there and identity == somebody

    door = Door()
    access = Access(None, (door,))
    access.check(somebody, Right.READ)
    with refused(NotAllowed, "viewer"):
        access.check(somebody, Right.INFER)
    assert access.tenant(somebody, "10.0.0.1") == "curve-arm"
    door.there = False
    with pytest.raises(KeyRefused):
        access.check(somebody, Right.READ)


@pytest.mark.asyncio
async def test_a_time_limit_cuts_off_its_block_and_nothing_else() -> None:
    async with time_limit(10.0) as limit:
        await asyncio.sleep(0)
    assert not limit.passed
    async with time_limit(0.01):
        pass
    await asyncio.sleep(0.02)
    async with time_limit(0.01) as limit:
        await asyncio.sleep(10)
    assert limit.passed
    # It is over: nothing is cancelled later, and the task counts as not cancelled.
    await asyncio.sleep(0.02)
    with pytest.raises(ValueError, match="mine"):
        async with time_limit(0.01):
            raise ValueError("mine")

    async def inner() -> None:
        async with time_limit(10.0):
            await asyncio.sleep(10)

    task = asyncio.ensure_future(inner())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_log_lines_are_one_line_each_and_short() -> None:
    for style in ("json", "text"):
        said = io.StringIO()
        log = Log(style, "info", said)  # type: ignore[arg-type]
        log.event("debug", "unheard")
        log.event("info", "no chunk", why='line one\nline "two"', none=None, ms=1.23456789)
        log.event("error", "long", trace="x" * 100_000)
        log.close()
        first, second = said.getvalue().splitlines()
        assert "unheard" not in first
        assert len(second) < 1500
        if style == "json":
            line = json.loads(first)
            assert (line["event"], line["why"], line["ms"]) == ("no chunk", 'line one\nline "two"', 1.234568)
            assert "none" not in line
        else:
            assert first.endswith(' info no chunk why="line one\\nline \\"two\\"" ms=1.234568')


def test_whoever_logs_does_not_wait_for_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.serving.logs.MOST_WAITING", 50)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        log = Log("json", "info", stream)
        for number in range(5000):
            log.event("info", "event", number=number, text="x" * 900)
        os.close(reader)
        log.close()


def test_what_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:1:2")
    notify("READY=1")
    for variables, expected in (
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ):
        with monkeypatch.context() as patch:
            for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            assert watchdog_s() == expected


def test_a_reason_fits_into_a_close_frame() -> None:
    assert fitting("short") == "short"
    assert len(fitting("ä" * 200).encode()) <= 123
