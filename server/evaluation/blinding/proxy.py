"""The proxy between robots and policies that they cannot tell apart: one address, one message, one rate."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.embodiments.catalogue import load_spec
from unichunk.server.evaluation.blinding.drive import Drive
from unichunk.server.evaluation.blinding.episodes import EpisodeRecorder
from unichunk.server.evaluation.blinding.policy_host import PolicyHost
from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
from unichunk.server.evaluation.blinding.punctual import punctual_thread
from unichunk.server.evaluation.blinding.robot_line import RobotLine
from unichunk.server.evaluation.blinding.seats import Seats
from unichunk.server.evaluation.errors import NotFound, NotNow
from unichunk.server.evaluation.planning.digest import check_policies, check_robot
from unichunk.server.evaluation.planning.load import load_campaign
from unichunk.server.say import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.blinding.drive import EventCode
    from unichunk.server.evaluation.blinding.driven_trial import DrivenTrial
    from unichunk.server.evaluation.blinding.robot_view import RobotView
    from unichunk.server.evaluation.planning.campaign import Blinding, Campaign
    from unichunk.server.evaluation.planning.plan import Plan

LOOK_S: Final = 0.1
"""How often robots are looked after, [s]."""

RECORD_S: Final = 10.0
"""How long episodes may take to be written when the proxy ends, [s]."""


def _unheard(robot: str, trial: str, code: str) -> None:
    """Nobody listens."""


def _unrecorded(trial: str, sha256: str) -> None:
    """The same."""


def _to_error(line: str) -> None:
    say(f"warning: {line}\n", sys.stderr)


class Proxy:
    """One for all robots of a campaign. All methods in one event loop, but for `frame`.

    Args:
        plan: What was frozen.
        folder: The campaign's folder; episodes go to `episodes/`, what tells policies apart to `private/runs/`.
        options: What is no matter of the plan.
        on_event: Told of trials that end by themselves: robot, trial, and `policy lost`, `robot lost` or `task done`.
            The robot holds already.
        on_recorded: Told of episodes that are on the disk: trial, and SHA-256 of `episode.json`.
        trouble: Told in one line, with names of policies, what whoever runs the server should look after.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        options: ProxyOptions | None = None,
        *,
        on_event: Callable[[str, str, str], None] = _unheard,
        on_recorded: Callable[[str, str], None] = _unrecorded,
        trouble: Callable[[str], None] = _to_error,
    ) -> None:
        self.on_event = on_event
        self.on_recorded = on_recorded
        self._plan, self._folder, self._options = plan, folder, options or ProxyOptions()
        self._trouble = trouble
        self._blinding: Blinding = plan.campaign.blinding
        self._spec: EmbodimentSpec | None = None
        self._hosts: list[PolicyHost] = []
        self._lines: dict[str, RobotLine] = {}
        self._seats: list[Seats] = []
        self._recorders: list[EpisodeRecorder] = []
        self._watch: asyncio.Task[None] | None = None
        self._private = contextlib.ExitStack()
        self._preferred = contextlib.ExitStack()

    async def start(self) -> None:
        """Check that every policy is the one that was frozen, and load all of them.

        Raises:
            BundleChanged: Where one is another one.
                UnichunkError: Where one cannot be loaded.
        """
        try:
            await asyncio.to_thread(self._load)
        except BaseException:
            await self.close()
            raise
        if not self._preferred.enter_context(punctual_thread()):
            self._trouble(
                "answers may be late by some milliseconds while policies compute on the same cores, which tells robots "
                "something: raise the rtprio limit in /etc/security/limits.conf, or serve policies from other machines"
            )
        self._watch = asyncio.ensure_future(self._look())

    async def close(self) -> None:
        """Hold all robots, write what is left of episodes, end all policies; again does nothing."""
        if self._watch is not None:
            self._watch.cancel()
        self._preferred.close()
        for line in self._lines.values():
            line.drive.hold()
        for seats in self._seats:
            seats.close()
        await asyncio.to_thread(self._end)

    @property
    def robots(self) -> Mapping[str, RobotView]:
        """All robots that ever came, by name."""
        return {name: line.view() for name, line in self._lines.items()}

    def arm(self, robot: str) -> None:
        """Send a robot to its rest pose.

        Raises:
            NotFound, NotNow: Where it never came, or is not ready.
        """
        self._ready(robot).drive.home()

    def run(self, robot: str, trial: str, policy: int, instruction: str) -> None:
        """Let a policy drive a robot.

        Args:
            robot: Its name.
            trial: Opaque id.
            policy: The policy's number in the plan.
            instruction: What it is told.

        Raises:
            NotFound, NotNow: Where the robot never came, or is not ready.
        """
        line = self._ready(robot)
        if not line.ready:
            # Whichever policy is not there: that must not show in whether another one's trial begins.
            raise NotNow(f"robot {robot!r}: not every policy is ready for it: wait a moment, or see the server's log")
        line.drive.run(trial, policy, instruction)

    def hold(self, robot: str) -> None:
        """Have a robot stay, from the next row on that it was not told yet; one that never came does so anyway."""
        line = self._lines.get(robot)
        if line is not None:
            line.drive.hold()

    def frame(self, robot: str, camera: str | None = None) -> bytes | None:
        """The newest picture as JPEG; takes milliseconds: call it from a thread."""
        line = self._lines.get(robot)
        return None if line is None else line.picture(camera)

    def line(self, robot: str) -> RobotLine:
        """A robot's line, for a new connection.

        Raises:
            NotNow: Where the robot is connected, or the proxy does not run.
        """
        if self._spec is None or self._watch is None or self._watch.done():
            raise NotNow("the proxy does not run")
        line = self._lines.get(robot)
        if line is None:
            line = self._lines[robot] = self._make_line(robot, self._spec)
        if line.taken:
            raise NotNow(f"robot {robot!r} is connected already")
        return line

    def _load(self) -> None:
        campaign: Campaign = load_campaign(self._folder)
        check_robot(campaign)
        spec = load_spec(campaign.robot)
        check_policies(campaign, spec.name)
        private = Path(
            self._private.enter_context(tempfile.TemporaryDirectory(prefix="unichunk-", ignore_cleanup_errors=True))
        )
        self._hosts = [
            PolicyHost(number, entry, spec, private, self._options) for number, entry in enumerate(campaign.policies)
        ]
        # In a random order: the numbers of processes go by it.
        self._side_by_side([host.start for host in secrets.SystemRandom().sample(self._hosts, len(self._hosts))])
        self._spec = spec

    def _end(self) -> None:
        deadline = time.monotonic() + RECORD_S
        for recorder in self._recorders:
            recorder.join(max(0.0, deadline - time.monotonic()))
        self._side_by_side([host.end for host in self._hosts])
        self._private.close()

    @staticmethod
    def _side_by_side(calls: Sequence[Callable[[], None]]) -> None:
        """Loading takes seconds each, and so may ending."""
        with ThreadPoolExecutor(max(1, len(calls))) as threads:
            for done in [threads.submit(call) for call in calls]:
                done.result()

    def _ready(self, robot: str) -> RobotLine:
        line = self._lines.get(robot)
        if line is None:
            raise NotFound(f"robot {robot!r}: it never connected")
        if not line.view().connected:
            raise NotNow(f"robot {robot!r} is not connected, or not ready yet")
        return line

    def _make_line(self, robot: str, spec: EmbodimentSpec) -> RobotLine:
        seats = Seats(self._hosts, spec, self._blinding, self._trouble)
        self._seats.append(seats)
        drive = Drive(
            spec,
            self._blinding,
            self._options,
            seats,
            record=self._record,
            tell=lambda trial, code: self._tell(robot, trial, code),
            ended=self._ended,
            clock=time.monotonic,
        )
        return RobotLine(robot, spec, self._blinding, self._options, drive, seats, time.monotonic)

    def _tell(self, robot: str, trial: str, code: EventCode) -> None:
        # Not at once: whoever is told may want to act on the robot, which is in the middle of something.
        asyncio.get_running_loop().call_soon(self.on_event, robot, trial, code)

    def _record(self, trial: str) -> EpisodeRecorder:
        assert self._spec is not None
        self._recorders = [recorder for recorder in self._recorders if not recorder.join(0.0)]
        folder, loop = self._folder / "episodes" / trial, asyncio.get_running_loop()

        def written(sha256: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(lambda: self.on_recorded(trial, sha256))

        recorder = EpisodeRecorder(folder, trial, self._spec, self._options.fps, written)
        self._recorders.append(recorder)
        return recorder

    def _ended(self, trial: DrivenTrial) -> None:
        """Keep what happened where nobody looks before the opening."""
        path = self._folder / "private" / "runs" / f"{trial.id}.json"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(trial.rows.counts) + b"\n")
        except OSError as error:
            self._trouble(f"{path}: cannot be written ({error.strerror}); the trial counts all the same")

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for line in self._lines.values():
                line.look()
