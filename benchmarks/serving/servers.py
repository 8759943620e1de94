"""The servers under test, each in a process of its own, all up at once; those that are not asked do nothing."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.environments import Environment, clean_variables, only_benchmarks
from unichunk.benchmarks.serving.empty_bundle import write_empty_bundle
from unichunk.benchmarks.serving.policies import FACTORIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST: Final = "127.0.0.1"
UP_S: Final = 60.0
DOWN_S: Final = 10.0
LOOK_S: Final = 0.05

EMPTY: Final = "empty"
"""Name under which the empty bundle is served."""


class ServerFailed(RuntimeError):
    """A server did not come up; one line says why."""


class ServerProcess:
    """A server.

    Args:
        name: What to call it.
        command: It.
        said: File for what it says.
        is_up: Tells whether it answers.
        environment: Variables; None: those of this process.
        cwd: Where it is started.

    Raises:
        ServerFailed: Where it does not come up.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        said: Path,
        is_up: Callable[[], bool],
        *,
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self._said = said
        with said.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603  our own modules
                command,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=environment,
                cwd=cwd,
                # Ctrl-C goes to this process, which ends that one.
                start_new_session=True,
            )
        try:
            self._wait(is_up)
        except BaseException:
            self.close()
            raise

    def footprint(self) -> dict[str, float]:
        """What it and its children hold: processes, threads, resident memory [MiB]."""
        found = [self._process.pid, *_descendants(self._process.pid)]
        statuses = [status for pid in found if (status := _status(pid))]
        return {
            "processes": len(statuses),
            "threads": sum(int(status["Threads"]) for status in statuses),
            "resident_mib": round(sum(int(status["VmRSS"].split()[0]) for status in statuses) / 1024, 1),
        }

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self, is_up: Callable[[], bool]) -> None:
        until = time.monotonic() + UP_S
        while not is_up():
            if self._process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with status {self._process.returncode}: {self._last_words()}")
            if time.monotonic() > until:
                raise ServerFailed(f"{self.name} was not up after {UP_S:.0f} s: {self._last_words()}")
            time.sleep(LOOK_S)

    def _last_words(self) -> str:
        lines = self._said.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


@dataclass(frozen=True)
class Ports:
    """Where one of ours listens.

    Attributes:
        http: Port.
        zmq: Port.
        ipc: ZeroMQ endpoint.
    """

    http: int
    zmq: int
    ipc: str


@dataclass(frozen=True)
class Servers:
    """Where everybody listens.

    Attributes:
        processes: By name.
        own: Ours, with the Python policies.
        bundle: Ours, with the empty bundle.
        openpi: Policy -> port of the stand-in that serves it; empty where openpi's environment could not be made.
        echo: Port of the bare echo.
    """

    processes: dict[str, ServerProcess]
    own: Ports
    bundle: Ports
    openpi: dict[str, int]
    echo: int

    def footprints(self) -> dict[str, Any]:
        """What each of them holds."""
        return {name: process.footprint() for name, process in self.processes.items()}


def start_servers(stack: ExitStack, folder: Path, peers: Environment | None, *, bundle: bool) -> Servers:
    """Start all servers.

    Args:
        stack: Ends them.
        folder: For their files.
        peers: Openpi's environment; None: without openpi's.
        bundle: Whether the empty bundle is served too.

    Raises:
        ServerFailed: Where one does not come up.
    """
    processes: dict[str, ServerProcess] = {}

    def start(name: str, command: Sequence[str], is_up: Callable[[], bool], **more: Any) -> None:
        process = ServerProcess(name, command, folder / f"{name.replace(' ', '-')}.txt", is_up, **more)
        stack.callback(process.close)
        processes[name] = process

    def start_own(name: str, policies: dict[str, str]) -> Ports:
        ports = Ports(free_port(), free_port(), f"ipc://{folder}/{len(processes)}.ipc")
        start(name, serve_command(policies, ports), lambda: is_ready(ports.http, "/readyz"))
        return ports

    own = start_own("unichunk", {name: f"python:unichunk.benchmarks.serving.policies:{name}" for name in FACTORIES})
    bundle_ports = own
    if bundle:
        write_empty_bundle(folder / EMPTY)
        bundle_ports = start_own("unichunk with a bundle", {EMPTY: str(folder / EMPTY)})
    echo_port = free_port()
    echo = [sys.executable, "-m", "unichunk.benchmarks.serving.echo", str(echo_port)]
    start("pyzmq", echo, lambda: is_listening(echo_port))
    openpi: dict[str, int] = {}
    if peers is not None:
        variables = clean_variables() | {"PYTHONPATH": str(only_benchmarks(folder))}
        for policy in ("noop", "sleeping"):
            port = openpi[policy] = free_port()
            command = [str(peers.python), "-m", "unichunk.benchmarks.serving.openpi_stand_in", policy, str(port)]
            up = _healthy_at(port)
            start(f"openpi {policy}", command, up, environment=variables, cwd=folder)
    return Servers(processes, own, bundle_ports, openpi, echo_port)


def serve_command(policies: dict[str, str], ports: Ports) -> list[str]:
    """`unichunk serve` as anybody would start it, the first policy being the default one."""
    command = [sys.executable, "-m", "unichunk.server.command_line", "serve"]
    for name, source in policies.items():
        command += ["--policy", f"{name}={source}"]
    command += ["--port", str(ports.http), "--zmq-port", str(ports.zmq), "--ipc", ports.ipc.removeprefix("ipc://")]
    return [*command, "--until-stdin-closes"]


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(port: int, path: str) -> bool:
    """Whether a server answers 200 there."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((HOST, port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _healthy_at(port: int) -> Callable[[], bool]:
    return lambda: is_ready(port, "/healthz")


def _descendants(pid: int) -> list[int]:
    """Children of a process, and theirs."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += map(int, task.read_text(encoding="ascii").split())
    return [*children, *(one for child in children for one in _descendants(child))]


def _status(pid: int) -> dict[str, str]:
    """What the kernel tells of a process; nothing where it has gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return {}
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return found if "VmRSS" in found else {}
