"""A remote policy over real sockets: WebSocket, TLS, ZeroMQ, CURVE, Unix sockets; keys, outages, shared memory."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zmq

from tests.one_line import refused
from tests.remote.bundles import tiny_policy
from tests.remote.model_server import ModelServer, chunk_for, said
from tests.remote.socket_servers import Wire, websocket_server, zmq_server
from tests.serving.certificates import Authority
from unichunk.runtime.errors import PolicyError, PolicyLate, UnichunkError
from unichunk.server.private_file import PrivateFileError
from unichunk.server.remote import liveness, websocket_connection, zmq_connection
from unichunk.server.remote.address import is_remote, parse_address
from unichunk.server.remote.credentials import Credentials, read_credentials
from unichunk.server.remote.remote_policy import RemotePolicy
from unichunk.server.wire.curve import ClientPair
from unichunk.server.wire.lean import Infer
from unichunk.server.wire.shared_memory import FOLDER, host_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

ROBOT = "so101"
KINDS = ["ws", "zmq", "ipc"]


@pytest.fixture
def model() -> ModelServer:
    return ModelServer(tiny_policy("own").manifest, ROBOT)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def served(kind: str, model: ModelServer, stack: ExitStack) -> str:
    """The address of a server that runs until the end of the test."""
    if kind == "ws":
        return f"ws://127.0.0.1:{stack.enter_context(websocket_server(model))}"
    if kind == "zmq":
        return stack.enter_context(zmq_server(model, "tcp://127.0.0.1:*")).replace("tcp", "zmq")
    folder = Path(tempfile.mkdtemp(prefix="unichunk-"))
    stack.callback(shutil.rmtree, folder)
    return stack.enter_context(zmq_server(model, f"ipc://{folder}/policy.ipc"))


def observation(level: int = 0, text: str = "go") -> dict[str, Any]:
    policy = tiny_policy("own")
    size = policy.manifest.image.size
    pictures = {f"video.{name}": np.full((size, size, 3), level, np.uint8) for name in policy.robot.cameras}
    return {**pictures, "language.instruction": text, "state.joints": np.full(5, level, np.float32)}


def check(remote: RemotePolicy, number: int, level: int = 0, delay: int = 2) -> Any:
    """Ask for a chunk; it is the right one."""
    previous = np.zeros((8, 200), np.float32)
    previous[:, 150] = np.arange(8)
    manifest = tiny_policy("own").manifest
    result = remote.infer(observation(level), previous, delay)
    expected = chunk_for(manifest, ROBOT, previous[:delay], said(observation(level), (3, number), manifest))
    np.testing.assert_array_equal(result.unified, expected)
    return result


def until_there_is_one(remote: RemotePolicy, number: int, level: int) -> int:
    """Ask until there is a chunk, which is the right one; its number."""
    for tries in range(20):
        with contextlib.suppress(PolicyLate):
            check(remote, number + tries, level=level)
            return number + tries
    raise AssertionError("no chunk came")


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_over(kind: str, model: ModelServer, stack: ExitStack) -> None:
    with closing(RemotePolicy(served(kind, model, stack), ROBOT, seed=3)) as remote:
        assert (remote.chunk_length, remote.max_delay) == (8, 6)
        for number in range(5):
            result = check(remote, number, level=number)
            assert result.cold == (number == 0)
            assert set(result.actions) == {f"action.{name}" for name in remote.robot.action}
        report = remote.statistics.report()
        assert (report["answers"], report["connections"]) == (5, 1)
        assert report["round_trip_ms"]["p50"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_started_anew(kind: str, model: ModelServer, stack: ExitStack) -> None:
    with ExitStack() as first:
        address = served(kind, model, first)
        endpoint = address.replace("zmq://", "tcp://")
        remote = RemotePolicy(address, ROBOT, seed=3, answer_within_s=0.5)
        stack.callback(remote.close)
        check(remote, 0)
    model.forget()
    if kind == "ipc":
        folder = Path(endpoint.removeprefix("ipc://")).parent
        folder.mkdir()
        stack.callback(shutil.rmtree, folder)
    begun = time.monotonic()
    with refused(PolicyLate, "cannot be reached"):
        remote.infer(observation())
    assert time.monotonic() - begun < 20
    if kind == "ws":
        stack.enter_context(websocket_server(model, port=int(address.rpartition(":")[2])))
    else:
        stack.enter_context(zmq_server(model, endpoint))
    # On a busy machine the connection is back too late for the first one.
    number = until_there_is_one(remote, 2, level=1)
    check(remote, number + 1, level=1)
    assert remote.statistics.connections == 2


@pytest.mark.parametrize("kind", ["ws", "zmq"])
def test_a_connection_that_dies_in_silence(
    kind: str, model: ModelServer, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pings find it out, and a new connection goes on with the session; nobody waits for the old one's packets."""
    monkeypatch.setattr(liveness, "SILENCE_S", 0.1)
    for module in (websocket_connection, zmq_connection):
        monkeypatch.setattr(module, "HANDSHAKE_S", 0.4)
    wire = Wire(int(served(kind, model, stack).rpartition(":")[2]))
    stack.callback(wire.end)
    remote = RemotePolicy(f"{kind}://127.0.0.1:{wire.port}", ROBOT, seed=3, answer_within_s=0.5)
    with closing(remote):
        for number in range(3):
            check(remote, number, level=number)
        wire.cut = True
        for _ in range(2):
            with pytest.raises(PolicyLate):
                remote.infer(observation(9))
        wire.cut = False
        check(remote, until_there_is_one(remote, 5, level=9) + 1)
        assert remote.statistics.resumed >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_there(kind: str) -> None:
    address = {"ws": "ws://127.0.0.1:9", "zmq": "zmq://127.0.0.1:9", "ipc": "ipc:///nowhere/at/all.ipc"}[kind]
    begun = time.monotonic()
    with refused(PolicyLate, address, "cannot be reached"):
        RemotePolicy(address, ROBOT, join_s=0.3)
    assert time.monotonic() - begun < 20


def test_a_server_that_speaks_something_else(model: ModelServer, stack: ExitStack) -> None:
    port = stack.enter_context(websocket_server(model, subprotocol="openpi"))
    with refused(PolicyError, f"ws://127.0.0.1:{port}", "HTTP status 400"):
        RemotePolicy(f"ws://127.0.0.1:{port}", ROBOT, join_s=1)


def test_the_key_and_the_policy_travel(model: ModelServer, stack: ExitStack) -> None:
    address = served("ws", model, stack)
    with closing(RemotePolicy(f"{address}/arm", ROBOT, seed=3, credentials=Credentials("uck_abc"))) as remote:
        check(remote, 0)
    assert model.seen[0] == ("/arm", "Api-Key uck_abc")
    assert (model.seen[1].key, model.seen[1].policy, model.seen[1].embodiment) == ("uck_abc", "arm", ROBOT)


def test_tls(model: ModelServer, stack: ExitStack, tmp_path: Path) -> None:
    signs = Authority()
    authority = signs.write(tmp_path / "ca.pem")
    certificate, key = signs.issue(tmp_path, "server")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    port = stack.enter_context(websocket_server(model, tls=tls))
    address = f"wss://localhost:{port}"
    with closing(RemotePolicy(address, ROBOT, seed=3, credentials=Credentials(ca=authority))) as remote:
        for number in range(3):
            check(remote, number, level=number)
    with refused(PolicyError, address, "cannot be trusted", "--policy-ca"):
        RemotePolicy(address, ROBOT, join_s=2)


def test_curve(model: ModelServer, stack: ExitStack) -> None:
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    address = stack.enter_context(zmq_server(model, "tcp://127.0.0.1:*", curve=(server_public, server_secret)))
    address = address.replace("tcp", "zmq")
    pair = ClientPair(public=public.decode(), secret=secret.decode(), server=server_public.decode())
    with closing(RemotePolicy(address, ROBOT, seed=3, credentials=Credentials(curve=pair))) as remote:
        check(remote, 0)
    with refused(PolicyLate, "cannot be reached"):
        RemotePolicy(address, ROBOT, join_s=0.1)


def test_pictures_through_shared_memory(model: ModelServer, stack: ExitStack) -> None:
    model.host = host_mark()
    before = set(FOLDER.glob("unichunk-*"))
    with closing(RemotePolicy(served("zmq", model, stack), ROBOT, seed=3)) as remote:
        for number in range(5):
            check(remote, number, level=number)
        infers = [request for request in model.seen if isinstance(request, Infer)]
        assert all(len(memoryview(value)) < 150 for infer in infers for value in infer.fields.values())
        assert len(set(FOLDER.glob("unichunk-*")) - before) == 1
    assert set(FOLDER.glob("unichunk-*")) <= before


def test_pictures_as_jpeg(model: ModelServer, stack: ExitStack) -> None:
    with closing(RemotePolicy(served("zmq", model, stack), ROBOT, seed=3, jpeg=90)) as remote:
        remote.infer(observation(100))
    (infer,) = (request for request in model.seen if isinstance(request, Infer))
    camera = tiny_policy("own").robot.cameras[0]
    assert b"jpeg" in bytes(memoryview(infer.fields[f"video.{camera}"]))


def test_closing_does_not_wait_for_an_inference(model: ModelServer, stack: ExitStack) -> None:
    remote = RemotePolicy(served("zmq", model, stack), ROBOT, seed=3, first_s=0.8)
    model.slow = True
    late: list[Exception] = []

    def ask() -> None:
        try:
            remote.infer(observation())
        except PolicyLate as error:
            late.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    remote.close()
    thread.join(10)
    assert late
    for _ in range(2):
        remote.close()
    with refused(PolicyError, "was closed"):
        remote.infer(observation())


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("zmq://robot:5555", "tcp://robot:5555"),
        ("zmq://robot", "tcp://robot:5555"),
        ("zmq://[::1]:7", "tcp://[::1]:7"),
        ("ipc:///tmp/a.ipc", "ipc:///tmp/a.ipc"),
        ("zmq+ipc:///tmp/a.ipc", "ipc:///tmp/a.ipc"),
    ],
)
def test_zeromq_addresses(text: str, endpoint: str) -> None:
    assert is_remote(text)
    assert parse_address(text).endpoint == endpoint
    assert parse_address(text).is_here == (text != "zmq://robot:5555" and text != "zmq://robot")


def test_websocket_addresses() -> None:
    address = parse_address("wss://gpu.example:8443/arm")
    assert (address.host, address.port, address.secure, address.policy) == ("gpu.example", 8443, True, "arm")
    assert parse_address("ws://localhost").port == 8000
    assert parse_address("ws://127.0.0.1").is_here
    assert not is_remote("bundles/ipc")
    assert not is_remote("/ws")


@pytest.mark.parametrize(
    "text",
    [
        *("tcp://a:1", "http://a", "ws://", "ws://a:99999", "ws://a/b/c", "ws://u:p@a", "ws://a?x=1", "zmq://*:1"),
        *("ws://a b", "ipc://a", "ipc:///" + "a" * 120, "ws://a\n", "zmq://", "wss:/a", "ws:a"),
    ],
)
def test_no_addresses(text: str) -> None:
    assert is_remote(text)
    with refused(UnichunkError, "policy "):
        parse_address(text)


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws, wss, zmq_ = (parse_address(text) for text in ("ws://localhost", "wss://a", "zmq://127.0.0.1"))
    monkeypatch.delenv("UNICHUNK_API_KEY", raising=False)
    assert read_credentials(ws).key == ""
    monkeypatch.setenv("UNICHUNK_API_KEY", "uck_env")
    assert read_credentials(ws).key == "uck_env"
    assert "uck_env" not in repr(read_credentials(ws))
    file = tmp_path / "key"
    file.write_text("uck_file\n")
    file.chmod(0o644)
    with refused(PrivateFileError, "chmod 600"):
        read_credentials(ws, key_file=file)
    file.chmod(0o600)
    assert read_credentials(ws, key_file=file).key == "uck_file"
    file.write_text(" \n")
    with refused(UnichunkError, "is empty"):
        read_credentials(ws, key_file=file)
    file.write_text("two words")
    with refused(UnichunkError, "printable characters on one line"):
        read_credentials(ws, key_file=file)
    with refused(UnichunkError, "--policy-ca: only wss://"):
        read_credentials(ws, ca=file)
    with refused(UnichunkError, "--policy-curve: only zmq://"):
        read_credentials(wss, curve=file)
    with refused(UnichunkError, "--policy-ca", "expected a file of certificates"):
        read_credentials(wss, ca=file)
    with refused(PrivateFileError, "CURVE key"):
        read_credentials(zmq_, curve=file)


@pytest.mark.parametrize(("text", "remedy"), [("ws://robot-server", "wss://"), ("zmq://192.0.2.1", "--policy-curve")])
def test_a_key_does_not_leave_the_machine_for_everybody_to_read(
    monkeypatch: pytest.MonkeyPatch, text: str, remedy: str
) -> None:
    address = parse_address(text)
    monkeypatch.setenv("UNICHUNK_API_KEY", "uck_env")
    with refused(UnichunkError, "plain text", remedy, "--policy-plain-key"):
        read_credentials(address)
    assert read_credentials(address, plain_key=True).key == "uck_env"
    monkeypatch.delenv("UNICHUNK_API_KEY")
    assert read_credentials(address).key == ""


def test_without_the_websockets_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    with refused(UnichunkError, "pip install 'unichunk[remote]'"):
        RemotePolicy("ws://127.0.0.1:9", ROBOT)
