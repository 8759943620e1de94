"""Robots under trials: nothing moves before that is recorded, and everything stops before that is."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING

from unichunk.server.evaluation.drives import Drives
from unichunk.server.evaluation.errors import EvaluationError, NotFound, NotNow
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER
from unichunk.server.evaluation.ledger.rules import POLICY_LOST
from unichunk.server.evaluation.ledger.trial import TrialState
from unichunk.server.evaluation.recorder import Recorder, checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.driven_robots import DrivenRobot, DrivenRobots
    from unichunk.server.evaluation.ledger.actor import Actor
    from unichunk.server.evaluation.ledger.trial import Trial
    from unichunk.server.evaluation.store.applied import Applied
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
    from unichunk.server.serving.logs import Log

MOVES = frozenset({TrialState.ARMED, TrialState.RUNNING})
"""States in which a robot may be moving."""


class Driving:
    """Lets policies drive robots, and ends that: by its operator, its time-out, or because something was lost.

    Args:
        store: The records.
        robots: All robots.
        policy_of: Which policy a trial is.
        log: Where failures go.
        clock: Monotonic, [s].

    Attributes:
        recorder: Writes everything down.
        drives: What runs now.
    """

    def __init__(
        self,
        store: EvaluationStore,
        robots: DrivenRobots,
        policy_of: Callable[[Trial], int],
        *,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._book = store.book
        self._robots = robots
        self._policy_of = policy_of
        self._log = log
        self._holds: Counter[str] = Counter()
        self.recorder = Recorder(store, log, self._lost)
        self.drives = Drives(clock)
        robots.on_event = self._heard
        robots.on_recorded = self.recorded

    def robot(self, name: str) -> DrivenRobot:
        """A robot that is there.

        Raises:
            NotFound, NotNow: Where none of this name was ever seen, or it does not ask for joint targets now.
        """
        robot = self._robots.robots.get(name)
        if robot is None:
            known = ", ".join(sorted(self._robots.robots)) or "none was seen yet"
            raise NotFound(f"robot {name!r}: expected one of those that have been seen: {known}")
        if not robot.connected:
            raise NotNow(f"robot {name}: is not connected: expected it to ask for joint targets (unichunk eval robot)")
        return robot

    def hold(self, robot: str) -> None:
        """A robot stands still from now on."""
        self._holds[robot] += 1
        self._robots.hold(robot)

    def holds(self, robot: str) -> int:
        """How often it was told to: one that is higher than before an await says that a stop came meanwhile."""
        return self._holds[robot]

    def home(self, robot: str) -> None:
        """A robot goes to its start pose."""
        self._robots.arm(robot)

    async def start(self, actor: Actor, trial: Trial, key: str) -> Applied:
        """Record that a trial runs; then its policy drives.

        A stop that came meanwhile wins.
        """
        holds = self._holds[trial.robot]

        def drive(applied: Applied) -> None:
            if not applied.repeated:
                self._drive(trial, stopped=self._holds[trial.robot] != holds)

        command = c.Start(trial=trial.id)
        applied = await self.recorder.record(actor, lambda: command, key, drive)
        await self.recorder.settle()
        return applied

    async def stop(self, trial: Trial, actor: Actor, key: str, make: Callable[[float], c.Command]) -> bool:
        """End a trial that may be moving a robot: it holds at once, then that is recorded.

        Args:
            trial: A trial in one of the states of `MOVES`.
            actor: Who ends it.
            key: Idempotency key.
            make: The command that says so, of how long it ran, [s].

        Returns:
            Whether it is this command that was recorded; something else may have ended the trial just before.

        Raises:
            EvaluationError: Where it was not recorded; the robot holds all the same.
        """
        ran_s = self.drives.end(trial.id)
        self.hold(trial.robot)
        mine = None
        if self.recorder.owed_for(trial.id) is None:
            mine = self.recorder.owe(actor, make(ran_s or 0.0), key)
        await self.recorder.settle()
        if mine is not None and mine.refused is not None:
            raise mine.refused
        return mine is not None

    async def emergency_stop(self, robot: str, actor: Actor, key: str) -> None:
        """A robot holds at once, whoever has it; a trial that moves it is interrupted.

        Raises:
            StoreUnavailable: Where that could not be recorded yet; the robot holds all the same.
        """
        self.hold(robot)
        drive = self.drives.on(robot)
        trial = "" if drive is None else drive.trial
        if drive is not None:
            self._interrupt(trial, "emergency stop")
        else:
            async with self.recorder.lock:
                held = self._book.held_on(robot)
            if held is not None and held.state in MOVES and self.recorder.owed_for(held.id) is None:
                trial = held.id
                self._interrupt(trial, "emergency stop")
        if trial:
            # The interruption is the server's; this says whose hand it was.
            self.recorder.owe(actor, c.Note(trial=trial, text="emergency stop"), key)
        await self.recorder.settle()

    def end_overdue(self) -> None:
        """End the trials whose time is up."""
        for drive in self.drives.overdue():
            ran_s = self.drives.end(drive.trial)
            self.hold(drive.robot)
            assert ran_s is not None
            self._owe(c.End(trial=drive.trial, cause="timeout", duration_s=ran_s))

    async def interrupt_strays(self, *, armed: bool) -> None:
        """Interrupt what the records say is moving and nothing here drives; count as failures what counts as such.

        Args:
            armed: Armed trials too: their robots were sent to their start poses by a server that is gone.
        """
        async with self.recorder.lock:
            for trial in self._book.held:
                if self.recorder.owed_for(trial.id) is not None:
                    continue
                stray = trial.state is TrialState.RUNNING and self.drives.elapsed_s(trial.id) is None
                if stray or (armed and trial.state is TrialState.ARMED):
                    self.hold(trial.robot)
                    self._interrupt(trial.id, "server ended")
                elif trial.state is TrialState.INTERRUPTED and self._is_failure(trial):
                    self._owe(c.CountAsFailure(trial=trial.id))

    def recorded(self, trial: str, sha256: str) -> None:
        """A trial's episode is complete: from now on its files are bound to the log.

        Args:
            trial: Opaque id.
            sha256: Of its `episode.json`, hexadecimal.
        """
        self._owe(c.Recorded(trial=trial, sha256=sha256))
        self.recorder.begin(self.recorder.settle())

    def hold_all(self) -> None:
        """Every robot stands still; what ran is interrupted."""
        for robot in self._robots.robots:
            self.hold(robot)
        for drive in self.drives:
            self._interrupt(drive.trial, "server ended")

    def _drive(self, trial: Trial, *, stopped: bool) -> None:
        if stopped:
            # It was recorded when the stop came: whoever stopped it may have found nothing to end.
            if self.recorder.owed_for(trial.id) is None:
                self._interrupt(trial.id, "emergency stop")
            return
        self.drives.begin(trial.id, trial.robot, self._book.task_of(trial).timeout_s)
        try:
            policy = self._policy_of(trial)
            self._robots.run(trial.robot, trial.id, policy, self._book.task_of(trial).instruction)
        except EvaluationError as error:
            self._log.event("error", "trial not driven", robot=trial.robot, why=str(error))
            self.hold(trial.robot)
            self._interrupt(trial.id, "server ended")

    def _heard(self, robot: str, trial: str, code: str) -> None:
        """Something happened to a robot or a policy: hold at once, then record it."""
        drive = self.drives.on(robot)
        if drive is not None and drive.trial == trial:
            self.hold(robot)
            if code == "task done":
                ran_s = self.drives.end(trial)
                assert ran_s is not None
                self._owe(c.End(trial=trial, cause="task done", duration_s=ran_s))
            else:
                self._interrupt(trial, code)
        self.recorder.begin(self._after(robot, code))

    async def _after(self, robot: str, code: str) -> None:
        """Interrupt an armed trial whose robot was lost, and record what is owed."""
        if code == "robot lost":
            async with self.recorder.lock:
                held = self._book.held_on(robot)
            if held is not None and held.state is TrialState.ARMED and not self.recorder.owed_for(held.id):
                self.hold(robot)
                self._interrupt(held.id, code)
        await self.recorder.settle()

    def _lost(self) -> None:
        """The store takes nothing: nothing may run that cannot be recorded."""
        for drive in self.drives:
            self.hold(drive.robot)
            self._interrupt(drive.trial, "server ended")

    def _is_failure(self, trial: Trial) -> bool:
        """Whether the plan says that a policy that dies has failed."""
        return trial.reason == POLICY_LOST and self._book.plan.campaign.rules.policy_death == "failure"

    def _interrupt(self, trial: str, code: str) -> None:
        ran_s = self.drives.end(trial) or 0.0
        self._owe(checked(c.Interrupt(trial=trial, code=code, duration_s=ran_s)))  # type: ignore[arg-type]

    def _owe(self, command: c.Command) -> None:
        self.recorder.owe(SERVER, command, server_key())


def server_key() -> str:
    """A fresh idempotency key for what the server does itself."""
    return f"server/{uuid.uuid4().hex}"
