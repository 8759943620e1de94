"""A desk on a real store, with robots and clocks of a test's own."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.evaluation.fake_robots import FakeRobots
from tests.evaluation.small_campaign import Small, small, write_folder
from unichunk.server.evaluation.desk import Desk
from unichunk.server.evaluation.errors import StoreUnavailable
from unichunk.server.evaluation.planning.load import policy_of
from unichunk.server.evaluation.store.clocks import Instant
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unichunk.server.evaluation.ledger.actor import Actor
    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.ledger.trial import Trial
    from unichunk.server.evaluation.store.applied import Applied
    from unichunk.server.evaluation.views import TrialView

ANN = Identity("k1", "ann", Role.OPERATOR)
BOB = Identity("k2", "bob", Role.OPERATOR)
RAY = Identity("k3", "ray", Role.RATER)
ADA = Identity("k4", "ada", Role.ADMIN)
EVE = Identity("k5", "eve", Role.ADMIN)
AUD = Identity("k6", "aud", Role.AUDITOR)
ARM = Identity("k7", "arm", Role.ROBOT)


@dataclass
class Clocks:
    """Two clocks that stand until they are moved."""

    mono_s: float = 1000.0
    wall_s: float = 1.8e9

    def mono(self) -> float:
        return self.mono_s

    def wall(self) -> int:
        return round(self.wall_s * 1e9)

    def instant(self) -> Instant:
        return Instant(self.wall(), "boot", round(self.mono_s * 1e9))

    def wait(self, seconds: float) -> None:
        self.mono_s += seconds
        self.wall_s += seconds


class FailingStore:
    """A store that takes nothing while `full` is set, and calls `after` in its thread once something is recorded."""

    def __init__(self, store: EvaluationStore) -> None:
        self._store = store
        self.full = False
        self.after: Callable[[Command], None] = lambda _: None

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def apply(self, actor: Actor, command: Command, key: str) -> Applied:
        if self.full:
            raise StoreUnavailable("database: disk full: nothing was recorded: try again with the same key")
        applied = self._store.apply(actor, command, key)
        self.after(command)
        return applied


@dataclass
class Bench:
    """A desk and what it stands on.

    Attributes:
        campaign: What is frozen.
        folder: Of the campaign.
    """

    campaign: Small
    folder: Path
    clocks: Clocks = field(default_factory=Clocks)
    robots: FakeRobots = field(default_factory=lambda: FakeRobots.of("r1", "r2"))

    @classmethod
    def make(cls, folder: Path, campaign: Small | None = None) -> Bench:
        bench = cls(campaign or small(), folder)
        write_folder(bench.campaign, folder)
        EvaluationStore.create(folder, bench.campaign.plan, bench.campaign.secrets).close()
        bench.open()
        return bench

    def open(self) -> None:
        """Open the store as a service does that begins; the robots are those that were there before."""
        store = EvaluationStore.open(self.folder, self.campaign.secrets, clock=self.clocks.instant)
        self.store = FailingStore(store)
        self.said = io.StringIO()
        self.desk = Desk(
            self.store,  # type: ignore[arg-type]
            self.robots,
            folder=self.folder,
            secrets=self.campaign.secrets,
            log=Log(stream=self.said),
            clock=self.clocks.mono,
            wall=self.clocks.wall,
            boot="boot",
        )

    def close(self) -> None:
        self.store._store.close()

    def trial(self, trial: str) -> Trial:
        return self.store._store.book.trial(trial)

    def policy(self, trial: str) -> int:
        return policy_of(self.campaign.plan, self.campaign.secrets, self.trial(trial).slot)

    def commands(self) -> list[Command]:
        return [event.entry.command for event in self.store._store.events()]

    async def running(self, who: Identity = ANN, robot: str = "r1", tag: str = "") -> TrialView:
        """A trial that runs."""
        leased = await self.desk.lease(who, robot, f"{who.name}{tag}/lease")
        await self.desk.arm(who, leased.trial, f"{who.name}{tag}/arm")
        return await self.desk.start_trial(who, leased.trial, f"{who.name}{tag}/start")

    async def judged(self, success: bool = True, who: Identity = ANN, robot: str = "r1", tag: str = "") -> TrialView:
        """A trial that was judged."""
        trial = (await self.running(who, robot, tag)).trial
        view = await self.desk.stop_trial(who, trial, f"{who.name}{tag}/stop")
        rubric = (success,) * len(view.rubric)
        return await self.desk.score(who, trial, success, rubric, "", f"{who.name}{tag}/score")
