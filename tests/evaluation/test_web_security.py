"""Who gets in, what pages say to whom, and what they carry along."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.evaluation.asgi_client import HOST, Answer, AsgiClient
from tests.evaluation.web_bench import COOKIE_KEY, Person, WebBench
from unichunk.server.evaluation.web.app import STATIC, make_app
from unichunk.server.evaluation.web.pages import FOLDER
from unichunk.server.evaluation.web.settings import WebSettings
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROTECTED = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
PAGES = ("/", "/afterwards", "/api/now", "/rate", "/log", "/log/head.txt", "/log/events.jsonl", "/admin")
SEEN = {
    "ann": {"/", "/afterwards", "/api/now"},
    "ray": {"/rate"},
    "aud": {"/log", "/log/head.txt", "/log/events.jsonl"},
    "ada": {"/", "/api/now", "/log", "/log/head.txt", "/log/events.jsonl", "/admin"},
}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebBench]:
    web = WebBench.make(tmp_path / "campaign")
    yield web
    web.close()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebBench]:
    """One for all tests that leave everything as it is."""
    web = WebBench.make(tmp_path_factory.mktemp("web") / "campaign")
    yield web
    assert web.bench.robots.told == []
    assert web.bench.commands() == []
    web.close()


def is_protected(answer: Answer) -> bool:
    names = [name for name, _ in answer.headers]
    return all(answer.header(name) == value and names.count(name) == 1 for name, value in PROTECTED.items())


def test_strangers_see_the_door_alone(quiet: WebBench) -> None:
    async def run() -> None:
        stranger = AsgiClient(quiet.app)
        for path in PAGES:
            answer = await stranger.get(path)
            if path.startswith("/api/"):
                assert (answer.status, answer.json["code"]) == (401, "sign in")
            else:
                assert (answer.status, answer.header("location"), answer.body) == (303, "/login", b"")
            assert is_protected(answer)
        for path in ("/robots/so101-left/frame.jpg", "/photos/" + "a" * 64, "/videos/x/wrist/1.jpg"):
            assert (await stranger.get(path)).status == 401
        for path in (
            "/api/lease",
            "/api/hold",
            "/api/trials/x/score",
            "/api/unblinding/x/confirm",
            "/api/videos/x/rate",
        ):
            assert (await stranger.post(path)).status == 401

    asyncio.run(run())


@pytest.mark.parametrize("name", SEEN)
def test_each_role_sees_its_pages(quiet: WebBench, name: str) -> None:
    async def run() -> None:
        person = await quiet.sign_in(name)
        seen = {path for path in PAGES if (await person.get(path)).status == 200}
        assert seen == SEEN[name]
        for path in PAGES:
            assert is_protected(await person.get(path))

    asyncio.run(run())


def test_the_way_in_and_out(quiet: WebBench) -> None:
    async def run() -> None:
        ann = await quiet.sign_in("ann")
        kept = dict(ann.cookies)
        answer = await ann.form("/logout", {"token": ann.token})
        assert (answer.status, answer.header("location"), ann.cookies) == (303, "/login", {})
        ann.cookies = kept
        assert (await ann.get("/")).status == 303
        assert (await ann.form("/logout", {"token": ann.token})).status == 303

    asyncio.run(run())


@pytest.mark.parametrize("secure", [True, False])
def test_the_cookie_is_for_this_server_alone(tmp_path: Path, secure: bool) -> None:
    web = WebBench.make(tmp_path / "campaign", secure=secure)

    async def run() -> None:
        answer = await AsgiClient(web.app).form("/login", {"key": "ann"})
        cookie = answer.header("set-cookie") or ""
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/", "max-age=86400"} <= parts
        assert ("secure" in parts) == secure == cookie.startswith("__Host-")
        assert not any(part.startswith("domain") for part in parts)

    asyncio.run(run())
    web.close()


@pytest.mark.parametrize("key", ["", "nobody", "arm", "vic", "uck_aaaaaaaa_" + "a" * 52, "\0", "x" * 5000])
def test_a_wrong_key_is_wrong_in_one_way(quiet: WebBench, key: str) -> None:
    async def run() -> None:
        answer = await AsgiClient(quiet.app, address=f"address of {key[:20]!r}").form("/login", {"key": key})
        other = await AsgiClient(quiet.app, address=f"other of {key[:20]!r}").form("/login", {"key": "someone"})
        assert (answer.status, answer.body, answer.headers) == (403, other.body, other.headers)
        assert b"not valid" in answer.body
        assert answer.header("set-cookie") is None

    asyncio.run(run())


def test_wrong_keys_are_answered_ever_more_slowly(web: WebBench) -> None:
    async def run() -> None:
        stranger = AsgiClient(web.app)
        statuses = [(await stranger.form("/login", {"key": f"guess {i}"})).status for i in range(8)]
        assert statuses == [403] * 5 + [429] * 3
        refusal = await stranger.form("/login", {"key": "again"})
        assert refusal.header("retry-after") == "2"
        # Somebody else, and whoever has a key, is not kept out by that.
        assert (await AsgiClient(web.app, address="192.0.2.8").form("/login", {"key": "x"})).status == 403
        assert (await stranger.form("/login", {"key": "ann"})).status == 303
        assert (await stranger.form("/login", {"key": "x"})).status == 403

    asyncio.run(run())


def test_a_session_ends_with_its_key(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        assert (await ann.get("/")).status == 200
        gone = web.keys.known.pop("ann")
        assert (await ann.get("/api/now")).status == 401
        assert (await ann.do("/api/hold", {"robot": "so101-left"})).status == 401
        web.keys.known["ann"] = gone
        assert (await ann.get("/")).status == 200

    asyncio.run(run())


def test_a_revoked_key_of_a_key_file_is_out_within_a_second(web: WebBench, tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    text, record = new_key("ann", Role.OPERATOR, now, now + timedelta(days=9999))
    path = tmp_path / "keys.json"
    write_keys(path, [record])
    clock = [0.0]
    ring = KeyRing(path, wall=now.timestamp, clock=lambda: clock[0])
    app = make_app(web.bench.desk, ring, WebSettings(COOKIE_KEY))

    async def run() -> None:
        ann = AsgiClient(app)
        assert (await ann.form("/login", {"key": f" {text}\n"})).status == 303
        assert (await ann.get("/api/now")).status == 200
        write_keys(path, [])
        clock[0] = 1.0
        assert (await ann.get("/api/now")).status == 401

    asyncio.run(run())


def test_a_session_expires(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        web.bench.clocks.wait(12 * 3600 - 1)
        assert (await ann.get("/")).status == 200
        web.bench.clocks.wait(1)
        assert (await ann.get("/")).status == 303

    asyncio.run(run())


FOREIGN: list[tuple[dict[str, str], str]] = [
    ({"x-form-token": ""}, "no token"),
    ({"x-form-token": "a" * 43}, "another token"),
    ({"x-form-token": "é"}, "no ASCII"),
    ({"origin": "https://evil.example"}, "another site"),
    ({"origin": "null"}, "a sandboxed page"),
    ({"sec-fetch-site": "same-site"}, "a neighbour"),
    ({"sec-fetch-site": "cross-site"}, "another site, as the browser says"),
]


@pytest.mark.parametrize("headers", [headers for headers, _ in FOREIGN], ids=[name for _, name in FOREIGN])
def test_other_sites_can_do_nothing(quiet: WebBench, headers: dict[str, str]) -> None:
    async def run() -> None:
        ann = await quiet.sign_in("ann")
        sent = {"x-form-token": ann.token, **headers}
        paths = ("lease", "hold", "trials/x/stop") if "x-form-token" not in headers else ("lease", "trials/x/stop")
        for path in paths:
            body = {"idempotency-key": "k" * 16, **sent}
            answer = await ann.send("POST", f"/api/{path}", b'{"robot": "so101-left"}', body)
            assert (answer.status, answer.json["code"]) == (403, "stale page")
        if "x-form-token" not in headers:
            assert (await ann.form("/login", {"key": "bob"}, **headers)).status == 403
            assert (await ann.form("/logout", {"token": ann.token}, **headers)).status == 403

    asyncio.run(run())


def test_an_old_page_can_still_hold_a_robot(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        ann.token = "of another session"
        web.bench.clocks.wait(13 * 3600)
        assert (await ann.do("/api/lease", {"robot": "so101-left"})).status == 401
        assert (await ann.do("/api/hold", {"robot": "so101-left"})).status == 200
        assert web.bench.robots.told == [("hold", "so101-left")]
        identity = web.keys.known.pop("ann")
        assert (await ann.do("/api/hold", {"robot": "so101-left"})).status == 401
        web.keys.known["ann"] = identity
        await ann.form("/logout", {"token": "x"})
        ann.cookies["__Host-unichunk"] += "x"
        assert (await ann.do("/api/hold", {"robot": "so101-left"})).status == 401

    asyncio.run(run())


def test_our_own_pages_can(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        headers = {"origin": f"https://{HOST}", "sec-fetch-site": "same-origin", "x-form-token": ann.token}
        body = b'{"robot": "so101-left"}'
        answer = await ann.send("POST", "/api/hold", body, {"idempotency-key": "k" * 16, **headers})
        assert answer.status == 200
        assert web.bench.robots.told == [("hold", "so101-left")]

    asyncio.run(run())


BAD: list[tuple[bytes, dict[str, str], int]] = [
    (b"", {}, 400),
    (b"[]", {}, 400),
    (b"{", {}, 400),
    (b"[" * 60000, {}, 400),
    (b'{"robot": ""}', {}, 400),
    (b'{"robot": 7}', {}, 400),
    (b'{"robot": "\xff"}', {}, 400),
    (b'{"robot": "so101-left", "policy": 1}', {}, 400),
    (b" " * 70000, {}, 413),
    (b'{"robot": "so101-left"}', {"idempotency-key": "short"}, 400),
    (b'{"robot": "so101-left"}', {"idempotency-key": "a b" * 8}, 400),
    (b'{"robot": "so101-left"}', {"idempotency-key": "a" * 41}, 400),
    (b'{"robot": "nowhere"}', {}, 404),
]


@pytest.mark.parametrize(("body", "headers", "status"), BAD)
def test_bad_requests_get_constant_words(quiet: WebBench, body: bytes, headers: dict[str, str], status: int) -> None:
    async def run() -> None:
        ann = await quiet.sign_in("ann")
        sent = {"x-form-token": ann.token, "idempotency-key": "k" * 16, **headers}
        answer = await ann.send("POST", "/api/lease", body, sent)
        assert answer.status == status
        assert set(answer.json) == {"code", "text"}
        # Nothing of what was sent comes back.
        assert not re.search(r"nowhere|policy|Object|JSON|short", answer.text)

    asyncio.run(run())


def test_what_is_not_there(quiet: WebBench) -> None:
    async def run() -> None:
        ann = await quiet.sign_in("ann")
        for path in (
            "/docs",
            "/openapi.json",
            "/api/none",
            "/static/../app.py",
            "/static/none.js",
            "/robot/so101-left",
        ):
            answer = await ann.get(path)
            assert answer.status == 404, path
            assert answer.header("content-security-policy") == PROTECTED["content-security-policy"]
        assert (await ann.get("/api/hold")).status == 405
        assert (await ann.get("/videos/x/wrist/one.jpg")).status == 404
        assert (await ann.get("/trials/nonesuch")).status == 404
        assert (await ann.get("/photos/nonesuch")).status == 404

    asyncio.run(run())


def test_a_broken_program_says_nothing_of_itself(web: WebBench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("policy 1 divides by zero")

    async def run() -> None:
        ann = await web.sign_in("ann")
        monkeypatch.setattr(web.bench.desk, "overview", broken)
        for path in ("/", "/api/now"):
            answer = await ann.get(path)
            assert answer.status == 500
            assert "policy" not in answer.text
            assert is_protected(answer)
        web.log.close()
        assert "ZeroDivisionError: policy 1 divides by zero" in web.said.getvalue()

    asyncio.run(run())


def test_scripts_and_styles_stand_in_files_alone() -> None:
    for path in sorted((FOLDER / "templates").iterdir()):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=\"/static/)", text), (
            path.name
        )
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), path.name
        assert "|safe" not in text.replace(" ", ""), path.name
    for path in sorted(STATIC.glob("*.js")):
        text = path.read_text()
        # Nothing that was fetched becomes part of a page as text: the browser parses it without running it.
        assert not re.search(r"\beval\(|innerHTML\s*=[^=]|document\.write|https?://", text), path.name


def test_names_are_text(tmp_path: Path) -> None:
    web = WebBench.make(tmp_path / "campaign")
    web.bench.robots.robots['"><img src=x onerror=alert(1)>'] = web.bench.robots.robots.pop("so101-right")
    web.bench.robots.robots['"><img src=x onerror=alert(1)>'].name = '"><img src=x onerror=alert(1)>'

    async def run() -> None:
        for name, path in (("ann", "/"), ("ada", "/admin")):
            person: Person = await web.sign_in(name)
            assert "<img src=x" not in (await person.get(path)).text

    asyncio.run(run())
    web.close()
