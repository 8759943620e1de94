"""`unichunk serve` as a user meets it: what it refuses, what it serves, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
import zmq
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.one_line import refused
from tests.serving.certificates import Authority
from unichunk.benchmarks.harness.environments import EnvironmentUnavailable, clean_variables, environment
from unichunk.benchmarks.serve import PEERS
from unichunk.embodiments.link.codec import encode
from unichunk.server.remote.address import parse_address
from unichunk.server.remote.credentials import read_credentials
from unichunk.server.remote.websocket_connection import WebSocketDialer
from unichunk.server.serve_command import Serve
from unichunk.server.serve_sources import policy_sources
from unichunk.server.serving.curve_files import add_client, make_server_pair
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key
from unichunk.server.usage_error import UsageError
from unichunk.server.wire.curve import load_client_pair
from unichunk.server.wire.lean import PROTOCOL, RESPONSES, Hello, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection

TOLD = "python:tests.serving.python_policies:Told"
ROOT = Path(__file__).parents[2]
SOON_S = 60.0


def test_policies_have_names_and_what_is_said_of_them() -> None:
    sources = policy_sources(
        ["a=/one", "b=python:x:y", "/bundles/c"],
        robot=["b=d1", "so101"],
        mapping=["droid"],
        replicas=["a=3"],
        threads=2,
    )
    assert [(one.name, one.source, one.robot, one.mapping, one.replicas, one.threads) for one in sources] == [
        ("a", "/one", "so101", "droid", 3, 2),
        ("b", "python:x:y", "d1", "droid", 1, 2),
        ("c", "/bundles/c", "so101", "droid", 1, 2),
    ]
    assert [one.name for one in policy_sources([])] == ["generalist"]
    assert [one.guided for one in (*policy_sources(["a=x"]), *policy_sources(["a=x"], guided=True))] == [False, True]


@pytest.mark.parametrize(
    ("policies", "options", "words"),
    [
        (["a=x", "a=y"], {}, "already"),
        (["a/b=x"], {}, "letters, digits"),
        (["=x"], {}, "letters, digits"),
        (["a="], {}, "folder"),
        (["a=x"], {"robot": ["b=d1"]}, "no policy is called 'b'"),
        (["a=x"], {"robot": ["a=d1", "a=so101"]}, "said before"),
        (["a=x"], {"mapping": ["a="]}, "expected a value"),
        (["a=x"], {"replicas": ["a=0"]}, "from 1"),
        (["a=x"], {"replicas": ["many"]}, "from 1"),
        (["a=x"], {"refinement_rounds": -1}, "0 or more"),
        (["a=x"], {"max_batch": 0}, "1 or more"),
    ],
)
def test_policies_that_cannot_be_meant(policies: list[str], options: dict[str, Any], words: str) -> None:
    with refused(UsageError, words):
        policy_sources(policies, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"http": False, "zmq": False}, "nothing is left"),
        ({"port": 70_000}, "--port: expected 0 to 65535"),
        ({"patience": 0.0}, "--patience"),
        ({"drain_timeout": -1.0}, "--drain-timeout"),
        ({"max_message_mb": 0.0}, "--max-message-mb"),
        ({"requests_per_s": -1.0}, "--requests-per-s"),
        ({"seed": -1}, "--seed"),
        ({"tls_cert": Path("x")}, "both or none"),
        ({"host": "0.0.0.0"}, "--keys FILE (unichunk keys add), --tls-cert and --tls-key, --curve FOLDER"),
        ({"host": "0.0.0.0", "http": False}, "add --curve FOLDER (unichunk keys curve) or --no-zmq"),
        ({"host": "0.0.0.0", "zmq": False, "keys": Path("k")}, "add --tls-cert and --tls-key; or --insecure"),
        ({"policy": ("a=x", "a=y")}, "already"),
    ],
)
def test_command_lines_that_cannot_be_meant(
    options: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Serve(**{"policy": ("a=x",), **options})() == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("unichunk serve: ")
    assert len(errors.splitlines()) == 1
    assert words in errors


def test_a_port_or_path_in_use_is_said_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        with socket.socket() as taken, context.socket(zmq.ROUTER) as router:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            path = tmp_path / "x.ipc"
            router.bind(f"ipc://{path}")
            for options in (
                {"port": port, "zmq": False},
                {"zmq_port": port, "http": False},
                {"zmq_port": port, "port": 0},
                {"http": False, "zmq": False, "ipc": path},
            ):
                assert Serve(policy=("a=/nowhere",), **options)() == 3  # type: ignore[arg-type]
                errors = capsys.readouterr().err
                assert len(errors.splitlines()) == 1
                assert "cannot listen on" in errors
            assert path.exists()
    finally:
        context.destroy(0)


@contextmanager
def serving(
    *arguments: str, folder: Path, stderr: Any = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command as a process; where it listens, by the beginning of the address."""
    command = [sys.executable, "-m", "unichunk.server.command_line", "serve", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    try:
        assert process.stdout is not None
        where: dict[str, str] = {}
        expected = 2 * ("--no-http" not in arguments) + ("--no-zmq" not in arguments) + ("--ipc" in arguments)
        while len(where) < expected:
            line = process.stdout.readline()
            assert line, (folder / "log").read_text()
            if match := re.match(r"  ((\w+)://\S+)", line):
                where[match[2]] = match[1]
        yield process, where
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    process.communicate(timeout=SOON_S)
    return process.returncode


def test_the_shipped_policy_serves_openpis_own_client(tmp_path: Path) -> None:
    try:
        peer = environment("openpi-serving", [list(PEERS)], limit_s=300.0)
    except EnvironmentUnavailable as error:
        pytest.skip(f"openpi-client cannot be installed here: {error}")
    client = [str(peer.python), str(Path(__file__).with_name("openpi_own_client.py"))]
    with serving("--port", "0", "--no-zmq", "--policy", f"told={TOLD}", "--policy", shipped(), folder=tmp_path) as (
        process,
        where,
    ):
        slow = subprocess.Popen(
            [*client, where["ws"], "1.2"],
            env=clean_variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            done = subprocess.run(
                [*client, f"{where['ws']}/generalist/so101"],
                check=False,
                env=clean_variables(),
                capture_output=True,
                text=True,
                timeout=SOON_S,
            )
            assert done.returncode == 0, done.stderr
        finally:
            said, errors = slow.communicate(timeout=SOON_S)
        answer = json.loads(done.stdout)
        assert answer["horizon"] == answer["shapes"][0][0]
        assert answer["shapes"][0] == answer["shapes"][1]
        assert answer["finite"]
        assert answer["timings"] == [["infer_ms"], ["infer_ms", "prev_total_ms"]]
        assert answer["policy_timing"] == ["infer_ms"]
        assert answer["error"].startswith("Error in inference server:\n")
        assert "missing" in answer["error"]
        assert "Traceback" not in answer["error"]
        assert slow.returncode == 0, errors
        assert json.loads(said)["echo"] == 7
        with urllib.request.urlopen(f"{where['http']}/v1/policies") as page:
            assert [one["name"] for one in json.load(page)["policies"]] == ["told", "generalist"]
        assert ended(process, signal.SIGTERM) == 0
    log = (tmp_path / "log").read_text()
    assert "no chunk" in log
    assert "anything" not in log


def shipped() -> str:
    (source,) = policy_sources([])
    return f"{source.name}={source.source}"


def test_behind_all_its_locks_and_ending_in_good_order(tmp_path: Path) -> None:
    path, curve, key_file, password = (tmp_path / name for name in ("s.ipc", "curve", "keys.json", "key"))
    authority = Authority()
    ca = authority.write(tmp_path / "ca.pem")
    certificate, certificate_key = authority.issue(tmp_path, "server")
    pair, _ = make_server_pair(curve)
    arm = load_client_pair(add_client(curve, "arm", Role.ROBOT, pair))
    key, record = new_key("arm", Role.ROBOT, datetime.now(timezone.utc))
    write_keys(key_file, [record])
    password.touch(0o600)
    password.write_text(key, encoding="ascii")
    arguments = ("--port", "0", "--zmq-port", "0", "--ipc", str(path), "--policy", TOLD, "--log-format", "json")
    locks = ("--keys", key_file, "--curve", curve, "--tls-cert", certificate, "--tls-key", certificate_key)
    with serving(*arguments, *map(str, locks), folder=tmp_path) as (process, where), ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, 0)
        tls = ssl.create_default_context(cafile=ca)
        ready = f"{where['https']}/readyz"

        def robot(**more: Any) -> ClientConnection:
            headers = {"Authorization": f"Api-Key {key}"}
            socket = connect(where["wss"], compression=None, ssl=tls, additional_headers=headers, **more)
            return stack.enter_context(socket)

        def asking(endpoint: str, wait_s: float = SOON_S) -> zmq.Socket[bytes]:
            socket = stack.enter_context(context.socket(zmq.REQ))
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, int(wait_s * 1000))
            if endpoint == where["tcp"]:
                arm.use(socket)
            socket.connect(endpoint)
            return socket

        # Half of an edit: those who are known stay so, and it is said.
        (curve / "clients" / "bad.json").write_text("{", encoding="ascii")
        # Whoever has no key, or does not trust the certificate, gets nothing.
        with pytest.raises(InvalidStatus) as unknown:
            connect(where["wss"], ssl=tls)
        assert unknown.value.response.status_code == 401
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(where["wss"])
        plain = stack.enter_context(context.socket(zmq.REQ))
        plain.setsockopt(zmq.LINGER, 0)
        plain.connect(where["tcp"])
        plain.send(msgpack.packb({"endpoint": "ping"}))
        # Whoever has, does, by each way; what it asks for is its policy's business.
        assert status(ready, tls) == 200
        assert status(f"{where['https']}/v1/policies", tls) == 401
        address = parse_address(where["wss"])
        runtime = WebSocketDialer(address, read_credentials(address, key_file=password, ca=ca)).dial()
        stack.callback(runtime.close)
        deadline = time.monotonic() + SOON_S
        runtime.send(encode(Hello(protocol=PROTOCOL)), deadline)
        answer = runtime.receive(deadline)
        assert answer is not None
        said = RESPONSES.decode(answer)
        assert isinstance(said, Refused)
        assert said.kind == "bundle"
        runtime.close()
        observation = {"observation": {"echo": 3}, "options": None}
        for endpoint, token in ((where["tcp"], {}), (where["ipc"], {"api_token": key})):
            client = asking(endpoint)
            client.send(msgpack.packb({"data": observation, **token}))
            actions, info = msgpack.unpackb(client.recv())
            assert actions
            assert info
        assert not plain.poll(0)
        wait_for(lambda: "keys not renewed" in (tmp_path / "log").read_text())
        # It ends in the middle of requests.
        busy, idle, waiting = robot(), robot(), asking(where["tcp"])
        busy.recv()
        idle.recv()
        busy.send(msgpack.packb({"until": str(tmp_path / "enough"), "echo": 5}))
        wait_for(lambda: running_of(f"{where['https']}/v1/policies", tls, key) == 1)
        waiting.send(msgpack.packb({"data": {"observation": {"echo": 6}, "options": None}}))
        wait_for(lambda: running_of(f"{where['https']}/v1/policies", tls, key) == 2)
        late = asking(where["tcp"])
        late.send(msgpack.packb({"endpoint": "ping"}))
        assert msgpack.unpackb(late.recv())["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as caught:
            idle.recv(timeout=SOON_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert status(ready, tls) == 503
        with pytest.raises(InvalidStatus) as refused_one:
            robot()
        assert refused_one.value.response.status_code == 503
        late.send(msgpack.packb({"data": observation}))
        assert "ending" in msgpack.unpackb(late.recv())["error"]
        (tmp_path / "enough").touch()
        assert msgpack.unpackb(busy.recv(timeout=SOON_S))["echo"] == 5
        assert msgpack.unpackb(waiting.recv())[0]
        process.communicate(timeout=SOON_S)
        assert process.returncode == 0
    assert not path.exists()
    log = (tmp_path / "log").read_text()
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events.count("draining") == events.count("drained") == 1
    assert key not in log


def status(url: str, tls: ssl.SSLContext) -> int:
    """The status of a page for whoever has no key."""
    try:
        with urllib.request.urlopen(url, context=tls) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def running_of(url: str, tls: ssl.SSLContext | None, key: str) -> int:
    """Requests that the server has and has not answered."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, context=tls) as page:
        (policy,) = json.load(page)["policies"]
    return int(policy["waiting"] + policy["running"])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_signal_ends_it_at_once_and_a_policy_that_hangs_does_not_hold_it(tmp_path: Path) -> None:
    patient, hasty = tmp_path / "patient", tmp_path / "hasty"
    options = ("--port", "0", "--no-zmq", "--policy", TOLD, "--drain-timeout")
    with ExitStack() as stack:
        started, listening = [], []
        for folder, seconds in ((hasty, "0.2"), (patient, "60")):
            folder.mkdir()
            process, where = stack.enter_context(serving(*options, seconds, folder=folder))
            client = stack.enter_context(connect(where["ws"], compression=None))
            client.recv()
            client.send(msgpack.packb({"sleep_s": 30.0}))
            started.append(process)
            listening.append(where)
        for where in listening:
            wait_for(lambda where=where: running_of(f"{where['http']}/v1/policies", None, "") == 1)
        for process in started:
            process.send_signal(signal.SIGINT)
        started[0].communicate(timeout=20)
        assert started[0].returncode == 0
        assert started[1].poll() is None
        assert ended(started[1], signal.SIGTERM) == 128 + signal.SIGTERM


def test_a_policy_that_does_not_load(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unichunk.server.command_line", "serve", "--port", "0", "--zmq-port", "0"]
    cases = (
        ("a=/nowhere", 3, "/nowhere"),
        ("a=python:tests.serving.python_policies:broken", 3, "the weights are not there"),
        ("a=python:tests.serving.python_policies:sleepy", 143, "terminated before the policies were loaded"),
    )
    with ExitStack() as stack:
        started = []
        for policy, _, _ in cases:
            process = subprocess.Popen(
                [*command, "--policy", policy],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(process)
        for process, (_, status, words) in zip(started, cases, strict=True):
            if status == 143:
                # The others have ended, so this one is far beyond where it begins to hear signals.
                process.terminate()
            output, errors = process.communicate(timeout=SOON_S)
            assert (process.returncode, output) == (status, "")
            lines = [line for line in errors.splitlines() if line.startswith("unichunk serve: ")]
            assert len(lines) == 1
            assert words in lines[0]


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    # Modules that are not there: their finder says so.
    script = (
        "import sys\n"
        "for name in ('fastapi', 'uvicorn', 'uvloop', 'prometheus_client', 'websockets', 'httptools', 'starlette'):\n"
        "    sys.modules[name] = None\n"
        "from unichunk.server.serve_command import Serve\n"
        "sys.exit(Serve(policy=('a=/nowhere',), http=%s, zmq_port=0, port=0)())\n"
    )
    for http, status, words in (("True", 2, "pip install 'unichunk[server]'"), ("False", 3, "/nowhere")):
        done = subprocess.run(
            [sys.executable, "-c", script % http], check=False, capture_output=True, text=True, timeout=SOON_S
        )
        assert done.returncode == status, done.stderr
        assert words in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("unichunk serve: ")]) == 1
