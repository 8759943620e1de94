"""`unichunk keys`, `unichunk swap`, `unichunk drain`: what they print, refuse and leave."""

from __future__ import annotations

import json
import shlex
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import tyro

from unichunk.server.keys_command import Keys
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_record import new_key
from unichunk.server.swap_command import Drain, Swap
from unichunk.server.wire.curve import load_client_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, _ = new_key("admin", Role.ADMIN, datetime.now(timezone.utc))
Said = tuple[int, str, str]


@pytest.fixture
def unichunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "admin.key").touch(mode=0o600)
    (tmp_path / "admin.key").write_text(f"{KEY}\n")

    def run(line: str) -> Said:
        commands = {"keys": Keys, "swap": Swap, "drain": Drain}
        command: Any = tyro.extras.subcommand_cli_from_dict(commands, prog="unichunk", args=shlex.split(line))
        status = command()
        out, err = capsys.readouterr()
        assert err.count("\n") == (status != 0)
        return status, out, err

    return run


def test_keys_are_added_listed_and_revoked(unichunk: Any, tmp_path: Path) -> None:
    status, key, _ = unichunk("keys add arm-1 --role robot --expires-days 30")
    assert status == 0
    identity = KeyRing(tmp_path / "keys.json").identify(key.strip())
    assert identity is not None
    assert identity.role is Role.ROBOT
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    unichunk("keys add arm-2 --role viewer")
    status, listed, _ = unichunk("keys list")
    assert status == 0
    assert [line.split()[:2] for line in listed.splitlines()] == [
        [identity.id, "robot"],
        [listed.splitlines()[1].split()[0], "viewer"],
    ]
    entries = json.loads(unichunk("keys list --json")[1])
    assert [entry["name"] for entry in entries] == ["arm-1", "arm-2"]
    assert key.strip().rpartition("_")[2] not in listed + json.dumps(entries)
    assert unichunk("keys revoke arm-1") == (0, f"revoked {identity.id} arm-1\n", "")
    assert KeyRing(tmp_path / "keys.json").identify(key.strip()) is None
    assert len(KeyRing(tmp_path / "keys.json")) == 1


@pytest.mark.parametrize(
    ("line", "status", "why"),
    [
        ("keys list", 3, "`unichunk keys add` makes one"),
        ("keys add arm --role robot --file no/keys.json", 3, "cannot be written"),
        ("keys add 'a\nb' --role robot", 2, "printable"),
        ("keys add arm --role robot --expires-days 0", 2, "--expires-days"),
        ("keys add arm --role robot --expires-days nan", 2, "--expires-days"),
        ("keys add arm --role robot --expires-days 1e9", 2, "--expires-days"),
        ("keys revoke arm", 3, "cannot be read"),
        ("keys curve a a --out c", 2, "each name once"),
        ("keys curve ../a --out c", 2, "expected 1 to 63"),
        ("keys curve a --out admin.key", 3, "cannot be"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(unichunk: Any, line: str, status: int, why: str) -> None:
    got, out, err = unichunk(line)
    assert (got, out) == (status, "")
    assert why in err


def test_a_name_that_two_keys_have_does_not_say_which_to_revoke(unichunk: Any) -> None:
    unichunk("keys add arm --role robot")
    unichunk("keys add arm --role robot")
    status, _, err = unichunk("keys revoke arm")
    assert status == 3
    ids = [entry["id"] for entry in json.loads(unichunk("keys list --json")[1])]
    assert all(key in err for key in ids)
    assert unichunk(f"keys revoke {ids[0]}")[0] == 0
    assert unichunk("keys revoke arm")[0] == 0
    assert unichunk("keys revoke arm")[0] == 3
    assert unichunk("keys list")[1] == "no keys\n"


def test_curve_keys_are_made(unichunk: Any, tmp_path: Path) -> None:
    status, out, _ = unichunk("keys curve arm-1 arm-2 --out c")
    assert status == 0
    pair = load_client_pair(tmp_path / "c" / "arm-1.client.json")
    assert pair.server in out
    assert pair.secret not in out
    status, out, _ = unichunk("keys curve viewer --out c --role viewer")
    assert status == 0
    assert load_client_pair(tmp_path / "c" / "viewer.client.json").server == pair.server
    assert json.loads((tmp_path / "c" / "clients" / "viewer.json").read_text())["role"] == "viewer"


class Server(ThreadingHTTPServer):
    """Answers every POST as told and remembers what came."""

    status = 200
    answer = b"{}"
    came: list[tuple[str, str | None, bytes]]


class Answering(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.came.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def do_GET(self) -> None:
        self.server.came.append((self.path, self.headers.get("Authorization"), b""))
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Answering) as server:
        server.came = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_swap_asks_the_server_and_says_what_is_there_now(unichunk: Any, server: Server) -> None:
    server.answer = json.dumps({"policy": "new\x1b[2J", "digest": "ab" * 32}).encode()
    url = f"http://127.0.0.1:{server.server_port}"
    status, out, _ = unichunk(f"swap 'a b/c=/srv/x=y' --server {url} --key-file admin.key --force")
    assert status == 0
    assert "digest abababababab" in out
    assert "\x1b" not in out
    path, key, body = server.came[0]
    assert path == "/v1/policies/a%20b%2Fc/swap"
    assert key == f"Bearer {KEY}"
    assert json.loads(body) == {"bundle": "/srv/x=y", "force": True}


def test_drain_asks_the_server(unichunk: Any, server: Server) -> None:
    server.answer, server.status = b'{"draining": true, "in_flight": 3}', 202
    url = f"http://localhost:{server.server_port}/"
    assert unichunk(f"drain --server {url} --key-file admin.key") == (0, "draining, 3 requests in flight\n", "")
    assert server.came[0][0] == "/v1/drain"


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (409, b'{"error": "other slots\\nand \\u001b[2Jmore"}', "other slots and  [2Jmore"),
        (401, b'{"error": "Unauthorized: Invalid API token"}', "Unauthorized"),
        (404, b"<html>", "answered 404"),
        (500, b"[" * 10000, "answered 500"),
        (302, b"", "answered 302"),
        (307, b"", "answered 307"),
        (200, b"hello", "no JSON"),
        (200, b"[]", "something else"),
    ],
)
def test_what_the_server_refuses_is_said_in_one_line_and_no_redirect_gets_the_key(
    unichunk: Any, server: Server, status: int, answer: bytes, why: str
) -> None:
    server.status, server.answer = status, answer
    url = f"http://127.0.0.1:{server.server_port}"
    got, out, err = unichunk(f"swap a=b --server {url} --key-file admin.key")
    assert (got, out) == (3, "")
    assert why in err
    assert KEY not in err
    assert len(server.came) == 1


@pytest.mark.parametrize(
    ("line", "status", "why"),
    [
        ("swap a --key-file admin.key", 2, "NAME=BUNDLE"),
        ("swap =b --key-file admin.key", 2, "NAME=BUNDLE"),
        ("swap a=b --key-file no.key", 3, "cannot be read"),
        ("swap a=b --key-file keys.json", 3, "expected one key"),
        ("swap a=b --key-file admin.key --server http://192.0.2.1:8000", 2, "plain text"),
        ("swap a=b --key-file admin.key --server http://0.0.0.0:8000", 2, "plain text"),
        ("swap a=b --key-file admin.key --server file:///etc/passwd", 2, "expected https"),
        ("swap a=b --key-file admin.key --server ftp://127.0.0.1", 2, "expected https"),
        ("swap a=b --key-file admin.key --server http://127.0.0.1@192.0.2.1", 2, "expected https"),
        ("swap a=b --key-file admin.key --server http://127.0.0.1:99999", 2, "expected https"),
        ("swap a=b --key-file admin.key --server 'http://127.0.0.1:1/ x'", 2, "expected https"),
        ("swap a=b --key-file admin.key --timeout nan", 2, "--timeout"),
        ("swap a=b --key-file admin.key --ca keys.json", 3, "PEM"),
        ("drain --key-file admin.key --server http://127.0.0.1:1", 3, "refused"),
    ],
)
def test_a_key_does_not_leave_where_it_must_not(
    unichunk: Any, tmp_path: Path, line: str, status: int, why: str
) -> None:
    (tmp_path / "keys.json").touch(mode=0o600)
    (tmp_path / "keys.json").write_text("{}")
    got, out, err = unichunk(line)
    assert (got, out) == (status, "")
    assert why in err
    assert KEY not in err


def test_a_key_file_that_others_can_read_is_refused(unichunk: Any, tmp_path: Path) -> None:
    (tmp_path / "admin.key").chmod(0o644)
    status, _, err = unichunk("drain --key-file admin.key")
    assert status == 3
    assert "chmod 600" in err
