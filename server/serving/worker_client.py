"""A worker process, as the front sees it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Protocol

from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.frames import Done, Failed, Forget, Load, Loaded, begin, widen
from unichunk.server.serving.shared_arena import SharedArena
from unichunk.server.serving.worker_socket import WorkerSocket

if TYPE_CHECKING:
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.work import Answer, Description, Work

_ENDING_S: Final = 1.0
"""How long a worker that closed its socket may take to be gone, [s]."""

_MODULE: Final = "unichunk.server.serving.worker_process"


class WorkerEvents(Protocol):
    """What happens to a worker, told in the event loop."""

    def answered(self, worker: WorkerClient, ticket: int, answer: Answer) -> None:
        """It answered a request."""
        ...

    def died(self, worker: WorkerClient, reason: str) -> None:
        """It ended without being told to; what it had will not be answered."""
        ...


class WorkerClient:
    """A started worker. Use `start_worker`.

    Attributes:
        source: What it serves.
        description: What is loaded.
        pid: Its process.
    """

    description: Description

    def __init__(
        self, source: PolicySource, process: subprocess.Popen[bytes], connection: socket.socket, arena: SharedArena
    ) -> None:
        self.source = source
        self._arena = arena
        self.pid = process.pid
        self._process = process
        self._events: WorkerEvents | None = None
        self._up: asyncio.Future[Description] = asyncio.get_running_loop().create_future()
        self._killed = ""
        self._ended = False
        self._reaping: asyncio.Task[int] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._socket = WorkerSocket(connection, self._received, self._closed)
        self._socket.send(Load(source))

    async def ready(self, events: WorkerEvents, start_s: float) -> None:
        """Wait until the policy is loaded and warm.

        Args:
            events: Told what happens from then on.
            start_s: How long that may take, [s].

        Raises:
            PolicyError: Where it cannot be loaded, or not in time; one line.
        """
        try:
            self.description = await asyncio.wait_for(self._up, start_s)
        except asyncio.TimeoutError:
            raise PolicyError(
                f"policy {self.source.name!r} ({self.source.source}) was not loaded within {start_s:g} s: is the "
                "machine overloaded?"
            ) from None
        if self._ended:
            raise PolicyError(f"a worker of policy {self.source.name!r} ended as soon as it was loaded")
        self._events = events

    def send(self, ticket: int, work: Work, deadline_s: float | None) -> None:
        """Give it a request, which it must not begin with after its deadline; its answer or its death will be told."""
        size = len(work.payload)
        start = self._arena.put(ticket, work.payload)
        if start is None:
            self._socket.send(begin(ticket, work, deadline_s=deadline_s), work.payload)
        else:
            self._socket.send(begin(ticket, work, (start, size), deadline_s=deadline_s))

    def forget(self, ticket: int) -> None:
        """Tell it that nobody waits for a request; it may be answered all the same."""
        self._socket.send(Forget(ticket))

    def kill(self, reason: str) -> None:
        """End it at once; `died` is told with this reason."""
        self._killed = reason
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def end(self, end_s: float = 5.0) -> None:
        """End it, by force if need be; nothing is told any more."""
        self._events = None
        self._socket.close()
        self._arena.close()
        await self._ended_with(end_s)

    async def _ended_with(self, end_s: float) -> int:
        """Its socket is closed, so that it ends; its status, by force if need be."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._reap()), end_s)
        except asyncio.TimeoutError:
            self._process.kill()
            return await self._reap()

    def _reap(self) -> asyncio.Task[int]:
        if self._reaping is None:
            self._reaping = asyncio.ensure_future(asyncio.to_thread(self._process.wait))
        return self._reaping

    def _received(self, message: Loaded | Failed | Done, payload: bytes) -> None:
        if isinstance(message, Done):
            self._arena.free(message.ticket)
            if self._events is not None:
                self._events.answered(self, message.ticket, message.answer(payload))
        elif isinstance(message, Loaded):
            if not self._up.done():
                self._up.set_result(message.description)
        elif not self._up.done():
            self._up.set_exception(PolicyError(message.reason))

    def _closed(self) -> None:
        self._ended = True
        self._arena.close()
        # The loop itself keeps tasks by weak references only.
        self._telling = asyncio.ensure_future(self._tell_how_it_ended())

    async def _tell_how_it_ended(self) -> None:
        status = await self._ended_with(_ENDING_S)
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        reason = self._killed or f"a worker of policy {self.source.name!r} ended ({how})"
        if not self._up.done():
            self._up.set_exception(PolicyError(f"{reason} before its policy was loaded"))
        if self._events is not None:
            self._events.died(self, reason)


async def start_worker(source: PolicySource, events: WorkerEvents, *, start_s: float) -> WorkerClient:
    """Start a worker and wait until its policy is loaded and warm.

    Args:
        source: What it shall serve.
        events: Told what happens to it.
        start_s: How long loading may take, [s].

    Raises:
        PolicyError: Where it cannot be loaded, or not in time; one line. No process is left.
    """
    arena = SharedArena()
    ours, theirs = socket.socketpair()
    try:
        widen(ours, theirs)
        process = await _started(theirs, arena)
    except BaseException:
        ours.close()
        arena.close()
        raise
    finally:
        theirs.close()
    worker = WorkerClient(source, process, ours, arena)
    try:
        await worker.ready(events, start_s)
    except BaseException:
        worker.kill("")
        await asyncio.shield(worker.end())
        raise
    return worker


async def _started(connection: socket.socket, arena: SharedArena) -> subprocess.Popen[bytes]:
    """Starting a process takes milliseconds, which the event loop shall not feel."""
    starting = asyncio.ensure_future(asyncio.to_thread(_start, connection, arena))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The thread goes on all the same.
        process = await starting
        process.kill()
        await asyncio.to_thread(process.wait)
        raise


def _start(connection: socket.socket, arena: SharedArena) -> subprocess.Popen[bytes]:
    # Its standard error is the server's, where the log goes. A session of its own: Ctrl-C goes to the front alone.
    inherited = [connection.fileno(), arena.fd]
    command = [sys.executable, "-m", _MODULE, *map(str, inherited)]
    return subprocess.Popen(  # noqa: S603  our own module
        command, pass_fds=inherited, stdin=subprocess.DEVNULL, start_new_session=True
    )
