"""`unichunk serve`: policies for clients on the network."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path  # noqa: TC003  (read at run time)
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tyro

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.runtime.parent_process import announce_ready, at_end_of_input
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.say import say
from unichunk.server.serve_parts import build
from unichunk.server.serve_ray import RayFlags
from unichunk.server.serve_sources import policy_sources
from unichunk.server.serving.exposure import is_loopback
from unichunk.server.serving.lifecycle import Stop, serve
from unichunk.server.usage_error import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from unichunk.server.serve_parts import Parts
    from unichunk.server.serving.source import PolicySource

NAME: Final = "unichunk serve"


@dataclass
class Serve:
    """Serve policies to robots and other clients, over WebSocket, HTTP and ZeroMQ.

    Clients of openpi (ws://HOST:PORT/POLICY/ROBOT) and GR00T (tcp://HOST:ZMQ_PORT) work as they are; `unichunk run
    --policy ws://HOST:PORT` is the way for robots that cannot wait. SIGTERM, Ctrl-C or an administrator's request end
    the server once what was begun is answered; a second signal ends it at once. Exit status: 0 ended as asked, 2 a
    wrong command line, 3 refused (a policy that cannot be loaded, a port in use), 7 internal, 130 and 143 interrupted
    before it was ready.

    Try: unichunk serve
    """

    policy: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """What to serve, NAME=BUNDLE: the bundle's folder, or python:package.module:factory. The first one is for clients
    that name none. Without it, the shipped bundle that drives most robots."""
    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine (0.0.0.0) the server wants --keys, --tls-cert and --curve."""
    port: int = 8000
    """For HTTP and WebSocket; 0: any free one."""
    zmq_port: int = 5555
    """For ZeroMQ; 0: any free one."""
    ipc: Path | None = None
    """Also listen on this Unix socket, for ZeroMQ from the same machine."""
    robot: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """NAME=ROBOT: whom a policy drives for clients that do not say; without it, the bundle's first."""
    mapping: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """NAME=MAPPING: how a policy's openpi and GR00T clients call what they send: droid, libero, aloha, roboarena,
    groot_so101, groot_two_arms, groot_droid, or a JSON file. Without it, as the bundle calls it."""
    replicas: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """NAME=N: so many workers for a policy, each with the policy loaded."""
    refinement_rounds: int = 0
    """How many times each chunk is refined by MPG; the bundles need a graph with that many rounds."""
    steps: int | None = None
    """K, steps of the policies' samplers, of which bundles may have several. Without it, each bundle's own."""
    guided: bool = False
    """Steer each chunk towards the running plan (inference-time real-time chunking), for policies that were not trained
    with locked prefixes; the bundles need graphs for it (`unichunk compile --guided`)."""
    threads: int = 1
    """Threads inside one operator of a policy."""
    max_batch: int = 8
    """Most requests inferred together, where a bundle's graphs allow it."""
    patience: float = 10.0
    """The longest that a request waits for a worker, in seconds."""
    drain_timeout: float = 30.0
    """How long requests that were begun may take once the server ends, in seconds."""
    keys: Path | None = None
    """File of API keys, see `unichunk keys`."""
    tls_cert: Path | None = None
    """Certificate for HTTPS and wss."""
    tls_key: Path | None = None
    """Its key."""
    curve: Path | None = None
    """Folder of the CURVE keys for ZeroMQ, see `unichunk keys curve`."""
    insecure: bool = False
    """Listen beyond this machine although keys, TLS or CURVE are missing. Whoever reaches ZeroMQ in plain text can fill
    the server's memory: nothing bounds a message's parts before CURVE has let its sender in."""
    max_message_mb: float = 64.0
    """Longest message that is taken, in MiB."""
    requests_per_s: float = 0.0
    """How many requests per second one key (or address) may send on average; 0: as many as it likes."""
    mb_per_s: float = 0.0
    """How many MiB per second one key (or address) may send on average; 0: as many as it likes."""
    seed: int = 0
    """Seed of the first client's noise; the next ones' follow. The runtime's clients bring their own."""
    http: bool = True
    """Serve HTTP and WebSocket."""
    zmq: bool = True
    """Serve ZeroMQ on --zmq-port."""
    engines: tyro.conf.OmitArgPrefixes[EngineFlags] = field(default_factory=EngineFlags)
    cluster: tyro.conf.OmitArgPrefixes[RayFlags] = field(default_factory=RayFlags)
    log_format: Literal["text", "json"] = "text"
    """How events are written to the standard error: for people, or one JSON object per line."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious events that are written; debug: each request."""
    ready_fd: Annotated[int | None, tyro.conf.arg(metavar="FD")] = None
    """Number of an inherited pipe that one byte is written to once clients are served."""
    until_stdin_closes: bool = False
    """End when the standard input ends too."""

    def __call__(self) -> int:
        """Serve; return the exit status."""
        try:
            sources = policy_sources(
                self.policy,
                robot=self.robot,
                mapping=self.mapping,
                replicas=self.replicas,
                refinement_rounds=self.refinement_rounds,
                steps=self.steps,
                guided=self.guided,
                engines=self.engines,
                threads=self.threads,
                max_batch=self.max_batch,
            )
            self._check()
            return self._run(self._serve(sources))
        except UnichunkError as error:
            say(f"{NAME}: {error}\n", sys.stderr)
            return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATUS[ExitReason.REFUSED]
        except KeyboardInterrupt:
            # Before the loop listened to signals.
            return EXIT_STATUS[ExitReason.INTERRUPTED]

    def _check(self) -> None:
        self._check_numbers()
        if not (self.http or self.zmq or self.ipc):
            raise UsageError("--no-http and --no-zmq: nothing is left to listen on; give --ipc PATH or drop one")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key: expected both or none")
        self._check_exposure()

    def _check_numbers(self) -> None:
        for name, value in (("--port", self.port), ("--zmq-port", self.zmq_port)):
            if not 0 <= value <= 65535:
                raise UsageError(f"{name}: expected 0 to 65535, got {value}")
        for name, number in (("--patience", self.patience), ("--drain-timeout", self.drain_timeout)):
            if not 0 < number < 86400:
                raise UsageError(f"{name}: expected more than 0 s, and less than a day, got {number:g}")
        if not 0 < self.max_message_mb <= 1024:
            raise UsageError(f"--max-message-mb: expected more than 0, at most 1024, got {self.max_message_mb:g}")
        for name, number in (("--requests-per-s", self.requests_per_s), ("--mb-per-s", self.mb_per_s)):
            if not 0 <= number < 1e9:
                raise UsageError(f"{name}: expected 0 (as many as they like) or more, got {number:g}")
        if self.seed < 0:
            raise UsageError(f"--seed: expected 0 or more, got {self.seed}")

    def _check_exposure(self) -> None:
        """What others can reach asks them who they are, and nobody in between can listen."""
        if self.insecure or not (self.http or self.zmq) or is_loopback(self.host):
            return
        missing = []
        if self.http and self.keys is None:
            missing.append("--keys FILE (unichunk keys add)")
        if self.http and self.tls_cert is None:
            missing.append("--tls-cert and --tls-key")
        if self.zmq and self.curve is None:
            missing.append("--curve FOLDER (unichunk keys curve) or --no-zmq")
        if missing:
            raise UsageError(
                f"--host {self.host} can be reached from other machines: add {', '.join(missing)}; or --insecure, "
                "where everybody who can reach it may use it"
            )

    def _run(self, main: Coroutine[Any, Any, int]) -> int:
        """In an event loop: uvloop's where it is installed, which HTTP needs anyway."""
        try:
            import uvloop  # noqa: PLC0415  (optional without HTTP)
        except ModuleNotFoundError as error:
            if self.http:
                main.close()
                raise UsageError(
                    f"HTTP and WebSocket need another package ({error}): pip install 'unichunk[server]', or --no-http"
                ) from None
            return asyncio.run(main)
        return uvloop.run(main)

    async def _serve(self, sources: list[PolicySource]) -> int:
        stop = Stop()
        stop.on_signals()
        if self.until_stdin_closes:
            loop = asyncio.get_running_loop()
            closed = partial(loop.call_soon_threadsafe, stop.ask)
            threading.Thread(target=at_end_of_input, args=(closed,), name="stdin", daemon=True).start()
        parts = build(self, sources)
        status = await serve(
            parts.service,
            parts.fronts,
            stop,
            drain_timeout_s=self.drain_timeout,
            ready=lambda: self._ready(parts),
            tasks=[*parts.tasks, *(partial(watch, stop) for watch in parts.watches)],
        )
        if status:
            assert stop.reason is not None
            say(f"{NAME}: {stop.reason.value} before the policies were loaded\n", sys.stderr)
        return status

    def _ready(self, parts: Parts) -> None:
        backend = parts.service.backend
        for name in backend.policies:
            robots = ", ".join(backend.describe(name).robots) or "whatever its clients send"
            say(f"serving {name} for {robots}\n", sys.stdout)
        for what, where in parts.addresses:
            say(f"  {where:<32} {what}\n", sys.stdout)
        if self.ready_fd is not None:
            announce_ready(self.ready_fd)
