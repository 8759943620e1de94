"""`unichunk run`: drive a robot with a policy."""

from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import tyro

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.twin_options import TwinOptions
from unichunk.embodiments.link.driver_link import DriverLink
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.command_recording import LONGEST_S, CommandRecording, check_recording_path, most_commands
from unichunk.runtime.errors import ReportError, UnichunkError
from unichunk.runtime.injected_latency import InjectedLatency, InjectedThoughtLatency
from unichunk.runtime.observation_recording import ObservationRecording
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason, exit_status
from unichunk.runtime.policy import Policy
from unichunk.runtime.realtime import realtime_process
from unichunk.runtime.report import build_report, check_report_path
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor
from unichunk.server.ended import ended
from unichunk.server.ended_run import EXIT_NOT_WRITTEN, EndedRun, driver_failure, write_ended
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.guided_note import guided_note
from unichunk.server.live_view import LiveView
from unichunk.server.remote.address import is_remote
from unichunk.server.remote.remote_options import RemoteOptions
from unichunk.server.remote.remote_policy import RemotePolicy
from unichunk.server.shipped_bundles import shipped_bundles
from unichunk.server.simulated_driver import simulated_driver
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.chunk_policy import ChunkPolicy
    from unichunk.runtime.reasoning import Reasoner
    from unichunk.runtime.robot import RobotSettings
    from unichunk.server.signals import EndingSignals
    from unichunk.server.simulated_driver import SimulatedDriver

RECORDING_END_S: Final = 30.0
"""How long a simulated robot that writes a recording may take to end, [s]."""


@dataclass
class Run:
    """Drive a robot with a policy.

    The robot is held, and a report is written, however the run ends. Exit status: 0 as asked, 2 a wrong command line,
    3 refused before the robot moved, 4 driver absent, lost or stopped, 5 sensors, 6 policy, 7 internal, 8 report or
    recordings not written where asked, 9 robot, 130 and 143 interrupted before the duration was over.

    Try: unichunk run --embodiment so101 --sim --duration 20
    """

    embodiment: str
    """Name of the robot, `unichunk embodiments` lists them, or the path of a spec of your own."""
    sim: bool = False
    """Start a simulated robot as a process of its own and drive that."""
    driver: str | None = None
    """Endpoint of a running driver, for example ipc:///tmp/unichunk-so101.ipc or tcp://192.168.1.5:5600."""
    policy: str | None = None
    """Folder of the policy bundle. Without it, the one shipped for this robot. Also the address of a policy server:
    ws://host:port[/policy], wss://host:port[/policy], zmq://host:port[/policy] or ipc:///path, see `unichunk serve`."""
    instruction: str = "follow the red block"
    """What the robot shall do."""
    duration: float | None = None
    """How long to run, in seconds. Without it, until Ctrl-C."""
    refinement_rounds: int = 0
    """How many times each chunk is refined by MPG; the bundle needs a graph with that many rounds."""
    steps: int | None = None
    """K, steps of the policy's sampler, of which a bundle may have several (`unichunk compile --steps`). Without it,
    the bundle's own; a policy server decides itself."""
    guided: bool = False
    """Steer each chunk towards the running plan (inference-time real-time chunking), for policies that were not trained
    with locked prefixes; the bundle needs graphs for it (`unichunk compile --guided`). A policy server must have been
    told so itself; without this option it is taken as it is."""
    inject_latency: float = 0.0
    """Milliseconds added to each inference, to see what a slower machine would do."""
    inject_after: float = 0.0
    """Add them only from this many seconds after the first inference on: a machine that becomes slow."""
    inject_thought_latency: float = 0.0
    """Milliseconds added to each token of a thought, of a policy that writes text before it acts."""
    replan_below: int | None = None
    """Start an inference only when fewer rows than this remain. Without it, as soon as the last one has ended."""
    think_every: float = 1.0
    """Least number of seconds from one thought to the next, for a policy that writes text before it acts."""
    think_patience: float = 0.0
    """For how many seconds such a policy may leave a new observation aside while it thinks, where the rows last; inf:
    as long as they last. Without it, for one token between two chunks: thoughts take longer, actions stay fresh."""
    report: Path | None = None
    """Where the JSON report goes. Without it, runs/DATE-TIME-EMBODIMENT.json."""
    record: Path | None = None
    """Folder for the stream of commands as it was sent, commands.npz, and, with --sim, the set-points that the driver
    handed on, set_points.npz. Commands are kept for the first 11 minutes, or --duration and a minute where that is
    longer (an hour at most); set-points for 11 minutes. What does not fit is counted, and said at the end."""
    record_observations: Path | None = None
    """File, .npz, for what the policy was asked, evenly spread over the run: for `unichunk compile --observations`."""
    seed: int = 0
    """Seed of the policy's noise and of the simulated robot."""
    lock_memory: bool = False
    """Lock the process in memory, so that no page fault delays a command."""
    fault: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """With --sim: faults the simulated robot plays, for example freeze_camera@5 or die@8."""
    twin: tyro.conf.OmitArgPrefixes[TwinOptions] = field(default_factory=TwinOptions)
    engines: tyro.conf.OmitArgPrefixes[EngineFlags] = field(default_factory=EngineFlags)
    remote: tyro.conf.OmitArgPrefixes[RemoteOptions] = field(default_factory=RemoteOptions)

    def __call__(self) -> int:
        """Run; return the exit status."""
        outcome = ended("unichunk run", "the robot", self._run)
        if isinstance(outcome, int):
            return outcome
        return outcome.say("unichunk run")

    def _run(self, signals: EndingSignals) -> EndedRun:
        self._check()
        spec = load_spec(self.embodiment)
        bundle = self.policy if self.policy is not None else str(shipped_bundle(spec.name))
        loaded = self._load(bundle, spec.name)
        with contextlib.ExitStack() as stack:
            if isinstance(loaded, RemotePolicy):
                stack.callback(loaded.close)
            return self._drive(spec, bundle, loaded, signals)

    def _drive(
        self, spec: EmbodimentSpec, bundle: str, loaded: Policy | RemotePolicy, signals: EndingSignals
    ) -> EndedRun:
        adapter = EmbodimentAdapter(spec, loaded.robot, bundle)
        report_path = self.report or Path("runs") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{spec.name}.json"
        check_report_path(report_path)
        for path in self._recordings():
            check_recording_path(path)
        policy: ChunkPolicy = loaded
        if self.inject_latency > 0:
            policy = InjectedLatency(policy, self.inject_latency / 1e3, self.inject_after)
        asked = None if self.record_observations is None else ObservationRecording(policy)
        policy = policy if asked is None else asked
        robot = robot_settings(spec, policy, adapter)
        options = RunOptions(
            self.instruction,
            self.duration,
            self.replan_below,
            thought_gap_s=self.think_every,
            thought_patience_s=self.think_patience,
        )
        options = self.remote.patient(options, loaded)
        reasoner: Reasoner | None = loaded.reasoner() if isinstance(loaded, Policy) else None
        if reasoner is not None and self.inject_thought_latency > 0:
            reasoner = InjectedThoughtLatency(reasoner, self.inject_thought_latency / 1e3)
        signals.check()
        with contextlib.ExitStack() as stack:
            endpoint, driver = self.driver, None
            if endpoint is None:
                driver = stack.enter_context(
                    simulated_driver(self.embodiment, self.seed, self.fault, signals.check, self._driver_options())
                )
                endpoint = driver.endpoint
            link = DriverLink(endpoint, spec, cameras=loaded.robot.cameras)
            with realtime_process(lock_memory=self.lock_memory) as missing:
                supervisor = Supervisor(link, robot, policy, adapter, options, reasoner=reasoner)
                if self.record is not None:
                    capacity = most_commands(robot.command_hz, self.duration)
                    supervisor.loop.recording = CommandRecording(capacity, robot.limits.size)
                for line in missing:
                    supervisor.events.add("realtime", line)
                if loaded.guided:
                    supervisor.events.add("guided", guided_note(loaded.manifest))
                signals.pass_on(supervisor.stop)
                with LiveView(f"{loaded.manifest.name} on {spec.name}", self.duration, supervisor, sys.stderr):
                    supervisor.run()
            failure = driver_failure(driver, supervisor, None if self.record is None else RECORDING_END_S)
            recorded = self._finish_recordings(supervisor.loop.recording, robot, driver)
            self._finish_observations(recorded, asked, loaded)
            report = build_report(
                supervisor,
                robot,
                self._asked(bundle),
                driver_said=failure or recorded.driver_said,
                remote=loaded.statistics.report() if isinstance(loaded, RemotePolicy) else None,
            )
            status = exit_status(supervisor.exit_reason, open_ended=self.duration is None)
            # A run that failed keeps the status that says so.
            if failure:
                status = status or EXIT_STATUS[ExitReason.DRIVER_LOST]
            if recorded.lost:
                status = status or EXIT_NOT_WRITTEN
            # Of a driver that died, and its recording with it, once.
            problems = dict.fromkeys([failure, *recorded.lost, *recorded.remarks])
            return write_ended(report_path, report, status, [problem for problem in problems if problem])

    def _load(self, bundle: str, embodiment: str) -> Policy | RemotePolicy:
        rounds = self.refinement_rounds
        if is_remote(bundle):
            return self.remote.connect(bundle, embodiment, refinement_rounds=rounds, guided=self.guided, seed=self.seed)
        return Policy.load(
            bundle,
            embodiment=embodiment,
            refinement_rounds=rounds,
            steps=self.steps,
            guided=self.guided,
            seed=self.seed,
            engine=self.engines.options(),
        )

    def _check(self) -> None:
        if self.sim == (self.driver is not None):
            raise UsageError("expected either --sim (a simulated robot) or --driver ENDPOINT (a running driver)")
        self._check_times()
        if self.record is not None and not self.record.is_dir():
            raise UnichunkError(f"--record: expected an existing folder, got {self.record}")
        if self.record is not None and self.duration is not None and self.duration > LONGEST_S:
            raise UsageError(
                f"--record: expected a --duration of at most {LONGEST_S:g} s, got {self.duration:g}: record a shorter "
                "run"
            )
        if self.fault and not self.sim:
            raise UsageError("--fault: only a simulated robot (--sim) plays faults")
        self.remote.check(self.policy)
        remote = self.policy is not None and is_remote(self.policy)
        self.engines.check(remote=remote)
        if remote and self.steps is not None:
            raise UsageError("--steps: a policy server has its own; give them to `unichunk serve`")
        asked = self.twin.arguments()
        if asked and not self.sim:
            raise UsageError(f"{asked[0]}: only a simulated robot (--sim) has it")
        try:
            self.twin.conditions()
        except UnichunkError as error:
            raise UsageError(str(error)) from None

    def _check_times(self) -> None:
        if self.duration is not None and not self.duration > 0:
            raise UsageError(f"--duration: expected more than 0 s, got {self.duration:g}")
        if not 0 <= self.inject_latency < 60_000:
            raise UsageError(f"--inject-latency: expected 0 to 60000 ms, got {self.inject_latency:g}")
        if not 0 <= self.inject_thought_latency < 60_000:
            raise UsageError(f"--inject-thought-latency: expected 0 to 60000 ms, got {self.inject_thought_latency:g}")
        if not 0 <= self.think_every < math.inf:
            raise UsageError(f"--think-every: expected 0 s or more, got {self.think_every:g}")
        if not self.think_patience >= 0:
            raise UsageError(f"--think-patience: expected 0 s or more, got {self.think_patience:g}")

    def _recordings(self) -> list[Path]:
        """Where recordings go: the commands, the simulated robot's set-points, what the policy was asked."""
        names = ["commands.npz", "set_points.npz"] if self.sim else ["commands.npz"]
        paths = [] if self.record is None else [self.record / name for name in names]
        return paths if self.record_observations is None else [*paths, self.record_observations]

    def _driver_options(self) -> list[str]:
        record = [] if self.record is None else ["--record", str(self.record / "set_points.npz")]
        return [*record, *self.twin.arguments()]

    def _finish_recordings(
        self, recording: CommandRecording | None, robot: RobotSettings, driver: SimulatedDriver | None
    ) -> _Recorded:
        """Write the recordings, if any; the simulated robot writes its own when it ends, and is ended for it."""
        recorded = _Recorded()
        if self.record is None or recording is None:
            return recorded
        path = self.record / "commands.npz"
        try:
            recording.save(path, robot.limits, robot.command_hz)
        except ReportError as error:
            recorded.lost.append(str(error))
        else:
            recorded.remarks.append(recording.shortage(path))
        if driver is not None:
            recorded.driver_said = driver.end(RECORDING_END_S)
            if recorded.driver_said:
                recorded.lost.append(recorded.driver_said)
            recorded.remarks += driver.warnings()
        return recorded

    def _finish_observations(
        self, recorded: _Recorded, asked: ObservationRecording | None, loaded: Policy | RemotePolicy
    ) -> None:
        """Write what the policy was asked, if anybody wants it."""
        if asked is None or self.record_observations is None:
            return
        try:
            recorded.remarks.append(asked.save(self.record_observations, loaded.embodiment, loaded.manifest))
        except ReportError as error:
            recorded.lost.append(str(error))

    def _asked(self, policy: str) -> dict[str, Any]:
        return {
            "policy": policy if is_remote(policy) else Path(policy).name,
            "instruction": self.instruction,
            "duration_s": self.duration,
            "simulated": self.sim,
            "refinement_rounds": self.refinement_rounds,
            "steps": self.steps,
            "guided": self.guided,
            "engine": self.engines.engine,
            "inject_latency_ms": self.inject_latency,
            "inject_after_s": self.inject_after,
            "replan_below": self.replan_below,
            "inject_thought_latency_ms": self.inject_thought_latency,
            "think_every_s": self.think_every,
            "think_patience_s": None if math.isinf(self.think_patience) else self.think_patience,
            **self.remote.asked(),
            "faults": list(self.fault),
            "twin": self.twin.asked(),
            "seed": self.seed,
        }


def shipped_bundle(embodiment: str) -> Path:
    """Folder of the bundle that ships for an embodiment: the generalist where it drives it, else the first that does.

    Raises:
        UnichunkError: Where none does.
    """
    for path in shipped_bundles(embodiment):
        return path
    raise UnichunkError(f"no policy ships for {embodiment}; give one with --policy BUNDLE")


@dataclass
class _Recorded:
    """What became of a run's recordings.

    Attributes:
        lost: What could not be written, a line each.
        remarks: What did not fit, a line each, perhaps empty.
        driver_said: How the driver that was to write one ended, where that was not as it should.
    """

    lost: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    driver_said: str = ""
