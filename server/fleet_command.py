"""`unichunk fleet`: several robots at once, with one policy that is loaded once."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import tyro

from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.runtime.policy.bundle import robots_of
from unichunk.server.ended import ended
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.fleet_robot import FleetRobot
from unichunk.server.ready_process import ReadyProcess
from unichunk.server.say import say
from unichunk.server.shipped_bundles import shipped_bundles
from unichunk.server.signals import REASONS
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unichunk.server.signals import EndingSignals

LOAD_S: Final = 600.0
"""How long a policy may take to load, [s]."""

END_S: Final = 5.0
"""How long its host may take to end, [s]."""

OUTAGE_S: Final = 3.0
"""How long a robot's run waits for a host that does not answer, [s]: nobody starts it anew."""

_NAME: Final = "policy"
_LOOK_S: Final = 0.05
_SIGNALS: Final = {reason: number for number, reason in reversed(REASONS.items())}


@dataclass
class Fleet:
    """Drive several robots at once with one policy.

    Each robot is a `unichunk run` in a process of its own, with its own rates, control thread and report. They share
    one loaded policy, which answers them in turn: waiting for another robot's chunk counts as latency, and each
    robot's delay follows from it. Whatever happens to one robot, the others go on; without the policy's process, all
    are held. Exit status: the worst of the robots' (see `unichunk run --help`), 137 and the like where one was killed;
    2 a wrong command line, 3 refused before any robot moved.

    Try: unichunk fleet so101 so101 --sim --duration 20
    """

    embodiments: Annotated[tuple[str, ...], tyro.conf.Positional]
    """The robots: names as `unichunk embodiments` lists them, or paths of specs. The same one may come again."""
    sim: bool = False
    """Simulate all of them."""
    driver: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """Without --sim: the endpoint of each robot's running driver, in the order of the robots."""
    policy: Path | None = None
    """Folder of the policy bundle. Without it, the first shipped one that drives all of these robots."""
    instruction: str = "follow the red block"
    """What the robots shall do."""
    duration: float | None = None
    """How long to run, in seconds. Without it, until Ctrl-C."""
    refinement_rounds: int = 0
    """How many times each chunk is refined by MPG; the bundle needs a graph with that many rounds."""
    guided: bool = False
    """Steer each chunk towards the running plan, for policies that were not trained with locked prefixes; the bundle
    needs graphs for it (`unichunk compile --guided`)."""
    steps: int | None = None
    """K, steps of the policy's sampler, of which a bundle may have several. Without it, the bundle's own."""
    engines: tyro.conf.OmitArgPrefixes[EngineFlags] = field(default_factory=EngineFlags)
    reports: Path = Path("runs")
    """Folder of the reports, DATE-TIME-ROBOT.json each."""
    seed: int = 0
    """Seed of the first robot's noise and simulation; the next ones' follow."""

    def __call__(self) -> int:
        """Run; return the exit status."""
        robots = ended("unichunk fleet", "the robots", self._run)
        if isinstance(robots, int):
            return robots
        for robot in robots:
            said = robot.summary() or f"{robot.name}: ended without a summary, status {robot.status}\n"
            say(said, sys.stdout)
        return worst_status([robot.status for robot in robots])

    def _run(self, signals: EndingSignals) -> list[FleetRobot]:
        bundle = self._bundle()
        names = labels([load_spec(robot).name for robot in self.embodiments])
        with self._host(bundle, signals) as (host, endpoint), contextlib.ExitStack() as stack:
            robots = []
            for i, name in enumerate(names):
                robots.append(FleetRobot(name, self._arguments(i, name, endpoint)))
                stack.callback(robots[-1].end)

            def stop(reason: ExitReason) -> None:
                for robot in robots:
                    robot.signal(_SIGNALS[reason])

            signals.pass_on(stop)
            failure = ""
            while any(robot.running() for robot in robots):
                failure = self._new_failure(host, failure)
                time.sleep(_LOOK_S)
            return robots

    @staticmethod
    def _new_failure(host: ReadyProcess, known: str) -> str:
        failure = host.failure()
        if failure and not known:
            say(f"unichunk fleet: {failure}\n", sys.stderr)
        return failure

    @contextlib.contextmanager
    def _host(self, bundle: Path, signals: EndingSignals) -> Iterator[tuple[ReadyProcess, str]]:
        """The policy's process, ready, and its address; it ends on leaving."""
        with tempfile.TemporaryDirectory(prefix="unichunk-", ignore_cleanup_errors=True) as folder:
            endpoint = f"ipc://{folder}/policy.ipc"
            options = ["serve", "--policy", f"{_NAME}={bundle.absolute()}", "--ipc", endpoint.removeprefix("ipc://")]
            options += ["--no-http", "--no-zmq", "--log-level", "error"]
            options += ["--refinement-rounds", str(self.refinement_rounds), *self.engines.arguments()]
            options += [] if self.steps is None else ["--steps", str(self.steps)]
            options += ["--guided"] if self.guided else []
            host = ReadyProcess(
                "the policy host",
                "unichunk.server.command_line",
                options,
                Path(folder) / "said",
                start_s=self.engines.load_s(LOAD_S),
                end_s=END_S,
            )
            try:
                host.wait_until_ready(signals.check)
                yield host, endpoint
            finally:
                host.end()

    def _bundle(self) -> Path:
        """The policy's folder, once all that can be refused without loading it has been."""
        if not self.embodiments:
            raise UsageError("expected the names of robots, for example: unichunk fleet so101 so101 --sim")
        if self.sim == bool(self.driver):
            raise UsageError("expected either --sim (simulated robots) or --driver ENDPOINT once for each robot")
        if self.driver and len(self.driver) != len(self.embodiments):
            raise UsageError(
                f"--driver: expected one endpoint each for {len(self.embodiments)} robots, got {len(self.driver)}"
            )
        self.engines.check()
        names = [load_spec(robot).name for robot in self.embodiments]
        if self.policy is None:
            for bundle in shipped_bundles(*names):
                return bundle
            raise UnichunkError(f"no policy ships that drives all of {', '.join(names)}; give one with --policy BUNDLE")
        driven = robots_of(self.policy)
        for name in names if driven else ():
            if name not in driven:
                raise UnichunkError(
                    f"{self.policy}: drives {', '.join(driven)}, not {name}; choose another bundle or other robots"
                )
        return self.policy

    def _arguments(self, i: int, name: str, endpoint: str) -> list[str]:
        """What `unichunk run` is told for one robot."""
        report = self.reports / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{name}.json"
        arguments = ["--embodiment", self.embodiments[i], "--policy", endpoint, "--instruction", self.instruction]
        arguments += ["--policy-outage", f"{OUTAGE_S:g}"]
        arguments += ["--sim"] if self.sim else ["--driver", self.driver[i]]
        arguments += ["--seed", str(self.seed + i), "--refinement-rounds", str(self.refinement_rounds)]
        if self.duration is not None:
            arguments += ["--duration", str(self.duration)]
        return [*arguments, "--report", str(report)]


def labels(names: Sequence[str]) -> list[str]:
    """The names, numbered where several robots have the same: so101-1, so101-2."""
    numbered = [f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)]
    return [one if names.count(name) > 1 else name for name, one in zip(names, numbered, strict=True)]


def worst_status(statuses: Sequence[int]) -> int:
    """The exit status of a fleet: a robot's failure before an interruption, and that before 0."""
    interrupted = {EXIT_STATUS[ExitReason.INTERRUPTED], EXIT_STATUS[ExitReason.TERMINATED]}
    return max(statuses, key=lambda status: (status not in interrupted and status != 0, status))
