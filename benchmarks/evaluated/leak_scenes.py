"""Where a robot watches policies: at their own servers, or through the proxy."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Protocol

from unichunk.server.evaluation.blinding.policy_host import free_port
from unichunk.server.evaluation.blinding.proxy import Proxy
from unichunk.server.evaluation.blinding.robot_route import robot_app
from unichunk.server.evaluation.planning.freeze import freeze
from unichunk.server.ready_process import ReadyProcess
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.http_server import HttpServer, address_of, reserve
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

ROBOT: Final = "so101"
POLICIES: Final = ("Quick", "Slow", "Heavy")
SOURCE: Final = "python:unichunk.benchmarks.evaluated.leaky_policies:"
ROWS: Final = 4
DELAY: Final = 8
NAME: Final = "arm"

_MODULE: Final = "unichunk.server.evaluation.blinding.policy_process"
_START_S: Final = 60.0
_LOOK_S: Final = 0.01
_CAMPAIGN: Final = """
name = "leaks"
robot = "{robot}"
trials_per_cell = 1
policies = [{policies}]
tasks = [{{ name = "wave", instruction = "wave", success = "it waved" }}]
layouts = [{{ name = "empty", task = "wave" }}]

[blinding]
rows = {rows}
answer_ms = 20.0
{delay}
"""


class Scene(Protocol):
    """Somewhere to watch policies."""

    def open(self) -> AbstractAsyncContextManager[None]:
        """Start everything; end it on leaving."""
        ...

    def address(self, policy: int) -> tuple[str, str]:
        """Where a robot connects for a trial, and the key that it shows."""
        ...

    async def ready(self, policy: int) -> None:
        """Wait until a trial can begin, once the robot connects."""
        ...

    def begin(self, policy: int) -> None:
        """A trial begins."""
        ...

    def end(self) -> None:
        """It has ended."""
        ...


class Direct:
    """Each policy's own server, as `unichunk serve` is one.

    Args:
        folder: For what servers say.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [free_port() for _ in POLICIES]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """See `Scene`."""
        with contextlib.ExitStack() as stack:
            servers = []
            for name, port in zip(POLICIES, self._ports, strict=True):
                options = ["0", "serve", "--policy", f"policy={SOURCE}{name}", "--port", str(port), "--no-zmq"]
                said = self._folder / f"{name}.said"
                options += ["--log-level", "error"]
                servers.append(ReadyProcess(name, _MODULE, options, said, start_s=_START_S, end_s=5.0))
                stack.callback(servers[-1].end)
            for server in servers:
                server.wait_until_ready(lambda: None)
            yield

    def address(self, policy: int) -> tuple[str, str]:
        """See `Scene`."""
        return f"ws://127.0.0.1:{self._ports[policy]}", ""

    async def ready(self, policy: int) -> None:
        """See `Scene`: it always is."""

    def begin(self, policy: int) -> None:
        """See `Scene`: whom the robot asks drives."""

    def end(self) -> None:
        """See `Scene`."""


class Proxied:
    """The proxy of a frozen campaign.

    Args:
        folder: Made here.
        equalized: Whether every chunk takes effect after the same time.
    """

    def __init__(self, folder: Path, *, equalized: bool) -> None:
        self._folder = folder
        self._delay = f"equalized_ticks = {DELAY}" if equalized else ""
        self._proxy: Proxy | None = None
        self._trials = 0
        self._address = self._key = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """See `Scene`."""
        self._folder.mkdir()
        campaign, out = self._folder / "campaign.toml", self._folder / "campaign"
        policies = ", ".join(f'{{ name = "{name}", source = "{SOURCE}{name}" }}' for name in POLICIES)
        campaign.write_text(_CAMPAIGN.format(robot=ROBOT, policies=policies, rows=ROWS, delay=self._delay))
        plan = freeze(campaign, out, now=datetime.now(timezone.utc)).plan
        self._key, record = new_key(NAME, Role.ROBOT, datetime.now(timezone.utc))
        write_keys(self._folder / "keys.json", [record])
        self._proxy = Proxy(plan, out)
        await self._proxy.start()
        app = robot_app(self._proxy, KeyRing(self._folder / "keys.json"))
        sockets = reserve("127.0.0.1", 0)
        self._address = f"ws://{address_of(sockets[0])}/robot/{NAME}"
        server = HttpServer(app, sockets, limits=ClientLimits(), tls=None, log=Log(level="error"))
        try:
            await server.start()
            yield
        finally:
            await server.stop()
            await self._proxy.close()

    def address(self, policy: int) -> tuple[str, str]:  # noqa: ARG002  the same for all
        """See `Scene`."""
        return self._address, self._key

    async def ready(self, policy: int) -> None:  # noqa: ARG002  all of them are, always
        """See `Scene`."""
        assert self._proxy is not None
        while NAME not in self._proxy.robots or not self._proxy.robots[NAME].connected:
            await asyncio.sleep(_LOOK_S)

    def begin(self, policy: int) -> None:
        """See `Scene`."""
        assert self._proxy is not None
        self._trials += 1
        self._proxy.run(NAME, f"trial-{self._trials}", policy, "wave")

    def end(self) -> None:
        """See `Scene`."""
        assert self._proxy is not None
        self._proxy.hold(NAME)
