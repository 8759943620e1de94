"""`unichunk eval robot`: let a blinded evaluation drive a robot of ours."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.link.driver_link import DriverLink
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason, exit_status
from unichunk.runtime.realtime import realtime_process
from unichunk.runtime.report import build_report, check_report_path
from unichunk.runtime.run_options import RunOptions
from unichunk.runtime.supervisor import Supervisor
from unichunk.server.ended import ended
from unichunk.server.ended_run import EndedRun, driver_failure, write_ended
from unichunk.server.evaluation.robots.joint_adapter import JointAdapter
from unichunk.server.evaluation.robots.proxy_address import parse_proxy_address
from unichunk.server.evaluation.robots.proxy_policy import ProxyPolicy
from unichunk.server.live_view import LiveView
from unichunk.server.remote.credentials import read_credentials
from unichunk.server.remote.websocket_connection import WebSocketDialer
from unichunk.server.simulated_driver import simulated_driver
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.signals import EndingSignals

NAME: Final = "unichunk eval robot"

RECOVERIES: Final = 1000
"""How often a driver or sensor may be lost and found again: a campaign takes days."""


@dataclass
class EvalRobot:
    """Let a campaign's service drive a robot: it decides when the robot holds, goes home, and which policy moves it.

    The robot cannot tell policies apart. While the service is out of reach, the robot's fallback runs; it goes on by
    itself when it is back. The stop on the campaign's page takes effect within the robot's own few committed ticks, and
    is no substitute for its emergency stop. The robot is held, and a report is written, however the run ends. Exit
    status: as of `unichunk run`.

    Try: unichunk eval robot --embodiment so101 --sim --server ws://127.0.0.1:8100/robot/arm-1 --key-file arm-1.key
    """

    embodiment: str
    """Name of the robot, `unichunk embodiments` lists them, or the path of a spec of your own."""
    server: str
    """Where the campaign's service has a place for this robot: ws://host:port/robot/NAME, or wss://..."""
    sim: bool = False
    """Start a simulated robot as a process of its own and drive that."""
    driver: str | None = None
    """Endpoint of a running driver, for example ipc:///tmp/unichunk-so101.ipc or tcp://192.168.1.5:5600."""
    key_file: Path | None = None
    """File with the robot's API key, readable by you alone. Without it, the variable UNICHUNK_API_KEY."""
    ca: Path | None = None
    """With wss://: file of certificates (PEM) that the server's is signed with. Without it, the system's."""
    plain_key: bool = False
    """With ws://: send the API key although the connection is not encrypted, as through a tunnel that is."""
    outage: float = 120.0
    """How many seconds the service may be out of reach before the run ends."""
    duration: float | None = None
    """How long to run, in seconds. Without it, until Ctrl-C."""
    report: Path | None = None
    """Where the JSON report goes. Without it, runs/DATE-TIME-EMBODIMENT.json."""
    seed: int = 0
    """Seed of the simulated robot."""
    lock_memory: bool = False
    """Lock the process in memory, so that no page fault delays a command."""

    def __call__(self) -> int:
        """Run; return the exit status."""
        outcome = ended(NAME, "the robot", self._run)
        return outcome if isinstance(outcome, int) else outcome.say(NAME)

    def _run(self, signals: EndingSignals) -> EndedRun:
        self._check()
        spec = load_spec(self.embodiment)
        address = parse_proxy_address(self.server)
        credentials = read_credentials(
            address, key_file=self.key_file, ca=self.ca, plain_key=self.plain_key, options="--"
        )
        report_path = self.report or Path("runs") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{spec.name}.json"
        check_report_path(report_path)
        policy = ProxyPolicy(WebSocketDialer(address, credentials, subprotocol=None), self.server, spec)
        with contextlib.closing(policy):
            return self._drive(spec, policy, report_path, signals)

    def _drive(self, spec: EmbodimentSpec, policy: ProxyPolicy, report_path: Path, signals: EndingSignals) -> EndedRun:
        adapter = JointAdapter(policy.greeting.cameras)
        robot = robot_settings(spec, policy, adapter)
        options = RunOptions(
            duration_s=self.duration, starved_s=self.outage, outage_s=self.outage, recoveries=RECOVERIES
        )
        signals.check()
        with contextlib.ExitStack() as stack:
            endpoint, driver = self.driver, None
            if endpoint is None:
                driver = stack.enter_context(simulated_driver(self.embodiment, self.seed, (), signals.check))
                endpoint = driver.endpoint
            link = DriverLink(endpoint, spec, cameras=policy.greeting.cameras)
            with realtime_process(lock_memory=self.lock_memory) as missing:
                supervisor = Supervisor(link, robot, policy, adapter, options)
                adapter.begin(supervisor.timebase)
                for line in missing:
                    supervisor.events.add("realtime", line)
                signals.pass_on(supervisor.stop)
                with LiveView(f"{self.server} on {spec.name}", self.duration, supervisor, sys.stderr):
                    supervisor.run()
            said = driver_failure(driver, supervisor)
            report = build_report(supervisor, robot, self._asked(), driver_said=said, remote=policy.statistics.report())
            status = exit_status(supervisor.exit_reason, open_ended=self.duration is None)
            if said:
                status = status or EXIT_STATUS[ExitReason.DRIVER_LOST]
            return write_ended(report_path, report, status, [said] if said else [])

    def _check(self) -> None:
        if self.sim == (self.driver is not None):
            raise UsageError("expected either --sim (a simulated robot) or --driver ENDPOINT (a running driver)")
        if self.duration is not None and not self.duration > 0:
            raise UsageError(f"--duration: expected more than 0 s, got {self.duration:g}")
        if not 0 < self.outage <= 86_400:
            raise UsageError(f"--outage: expected more than 0 and at most 86400 s, got {self.outage:g}")

    def _asked(self) -> dict[str, Any]:
        return {
            "policy": self.server,
            "instruction": "",
            "duration_s": self.duration,
            "simulated": self.sim,
            "policy_outage_s": self.outage,
            "seed": self.seed,
        }
