"""`unichunk eval serve`: runs a frozen campaign."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Annotated, Final, Literal

import tyro

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.runtime.parent_process import announce_ready, at_end_of_input
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.eval_extra import need_evaluation
from unichunk.server.say import say
from unichunk.server.usage_error import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from unichunk.server.evaluation.service import EvaluationService
    from unichunk.server.evaluation.service_options import ServiceOptions
    from unichunk.server.serving.lifecycle import Stop

NAME: Final = "unichunk eval serve"


@dataclass
class EvalServe:
    """Run a campaign: pages for operators, raters, auditors and admins, and one address for robots.

    All policies are loaded and checked against the plan first. SIGTERM or Ctrl-C hold all robots and interrupt what
    runs; so does whatever kills the server, at its next start. The stop on the page is no substitute for a robot's
    emergency stop.

    Whoever may read private/ can tell the policies apart, and write another log: run it as a user of its own, note the
    log's head elsewhere (`unichunk eval status`), and give nobody who operates or judges an account on this machine,
    where everybody sees which policy's process is busy.

    Exit status: 0 ended as asked; 2 a wrong command line; 3 refused (a policy that is another one than was frozen, a
    port in use, a campaign that somebody runs already); 7 internal; 130 and 143 interrupted before it was ready.

    Try: unichunk eval serve campaign
    """

    folder: tyro.conf.Positional[Path]
    """The campaign's folder, as `unichunk eval plan` made it."""
    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine (0.0.0.0) the server wants --tls-cert and --tls-key."""
    port: int = 8100
    """For pages and robots; 0: any free one."""
    keys: Path | None = None
    """File of API keys, see `unichunk keys add`; without it, private/keys.json in the folder. Everybody needs one: it
    is recorded who judged. A robot's key is named as the robot."""
    tls_cert: Path | None = None
    """Certificate for HTTPS and wss."""
    tls_key: Path | None = None
    """Its key."""
    sim_robots: bool = False
    """Let simulated robots wait for their policies, so that a simulation may run faster or slower than real time."""
    engines: tyro.conf.OmitArgPrefixes[EngineFlags] = field(default_factory=EngineFlags)
    log_format: Literal["text", "json"] = "text"
    """How events are written to the standard error: for people, or one JSON object per line."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious events that are written."""
    ready_fd: Annotated[int | None, tyro.conf.arg(metavar="FD")] = None
    """Number of an inherited pipe that one byte is written to once people and robots are let in."""
    until_stdin_closes: bool = False
    """End when the standard input ends too."""

    def __call__(self) -> int:
        """Serve; return the exit status."""
        try:
            need_evaluation()
            return asyncio.run(self._serve(self._options()))
        except UnichunkError as error:
            say(f"{NAME}: {error}\n", sys.stderr)
            return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATUS[ExitReason.REFUSED]
        except KeyboardInterrupt:
            # Before the loop listened to signals.
            return EXIT_STATUS[ExitReason.INTERRUPTED]

    def _options(self) -> ServiceOptions:
        from unichunk.server.evaluation.service_options import LOAD_S, ServiceOptions  # noqa: PLC0415  (an extra)

        self.engines.check()
        keys = self.folder / "private" / "keys.json" if self.keys is None else self.keys
        if self.keys is None and self.folder.is_dir() and not keys.exists():
            raise UsageError(
                f"--keys: expected a key file, or {keys}: unichunk keys add NAME --role operator --file {keys} makes "
                "one; robots, raters and admins need keys too"
            )
        return ServiceOptions(
            keys=keys,
            host=self.host,
            port=self.port,
            tls_cert=self.tls_cert,
            tls_key=self.tls_key,
            sim_robots=self.sim_robots,
            engine=tuple(self.engines.arguments()),
            load_s=self.engines.load_s(LOAD_S),
            log_format=self.log_format,
            log_level=self.log_level,
        )

    async def _serve(self, options: ServiceOptions) -> int:
        from unichunk.server.evaluation.service import EvaluationService  # noqa: PLC0415  (an extra)
        from unichunk.server.serving.lifecycle import Stop  # noqa: PLC0415  (an extra)

        stop = Stop()
        stop.on_signals()
        if self.until_stdin_closes:
            closed = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.ask)
            threading.Thread(target=at_end_of_input, args=(closed,), name="stdin", daemon=True).start()
        service = await asyncio.to_thread(EvaluationService.open, self.folder, options)
        try:
            return await self._until(service, stop)
        finally:
            await service.close()

    async def _until(self, service: EvaluationService, stop: Stop) -> int:
        starting = asyncio.ensure_future(service.start())
        stopping = asyncio.ensure_future(stop.wait())
        failing: asyncio.Future[None] | None = None
        try:
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                assert stop.reason is not None
                say(f"{NAME}: {stop.reason.value} before the policies were loaded\n", sys.stderr)
                return EXIT_STATUS[stop.reason]
            starting.result()
            self._ready(service)
            failing = asyncio.ensure_future(service.desk.failed())
            await asyncio.wait([stopping, failing], return_when=asyncio.FIRST_COMPLETED)
            return 0 if stopping.done() else _failed(failing)
        finally:
            tasks = [task for task in (starting, stopping, failing) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ready(self, service: EvaluationService) -> None:
        plan = service.store.plan
        say(f"serving {plan.campaign.name}: {len(plan.slots)} trials, commitment {plan.commitment}\n", sys.stdout)
        for what, where in (("people", f"{service.address}/"), ("robots", f"{service.robots_address}NAME")):
            say(f"  {where:<40} {what}\n", sys.stdout)
        if self.ready_fd is not None:
            announce_ready(self.ready_fd)


def _failed(watch: asyncio.Future[None]) -> int:
    """A fault of this program: all robots hold."""
    why = None if watch.cancelled() else watch.exception()
    say(f"{NAME}: internal fault, all robots hold: {type(why).__name__}: {why}\n", sys.stderr)
    return EXIT_STATUS[ExitReason.INTERNAL_FAULT]
