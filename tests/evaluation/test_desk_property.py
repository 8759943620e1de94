"""Whatever people, robots, disks and clocks do, in whatever order: what moves is recorded; what stopped stays so."""

from __future__ import annotations

import asyncio
import contextlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.desk_bench import ADA, ANN, BOB, Clocks
from tests.evaluation.fake_robots import FakeRobots
from tests.evaluation.small_campaign import small
from unichunk.server.evaluation.desk import Desk
from unichunk.server.evaluation.errors import EvaluationError, StoreUnavailable
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.book import Book
from unichunk.server.evaluation.ledger.entry import Entry, Redo
from unichunk.server.evaluation.ledger.trial import TrialState
from unichunk.server.evaluation.planning.redo import redo_of
from unichunk.server.evaluation.store.applied import Applied
from unichunk.server.serving.logs import Log

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.ledger.actor import Actor

CAMPAIGN = small(trials_per_cell=2)
ROBOTS = ("r1", "r2")
PEOPLE = (ANN, BOB)


@dataclass
class MemoryStore:
    """A store without a disk: a book, and whether it takes anything."""

    folder: Path
    clocks: Clocks
    full: bool = False
    plan: Any = CAMPAIGN.plan
    book: Book = field(default_factory=lambda: Book.begin(CAMPAIGN.plan))
    entries: list[Entry] = field(default_factory=list)

    def apply(self, actor: Actor, command: c.Command, key: str) -> Applied:
        if self.full:
            raise StoreUnavailable("disk full")
        receipt = self.book.receipt(actor, command, key)
        if receipt is not None:
            return Applied.of(receipt, repeated=True)
        now = self.clocks.instant()
        redo = None
        if isinstance(command, c.Void):
            drawn = redo_of(
                self.book.trial(command.trial),
                self.book.in_order(),
                method=self.plan.campaign.randomization,
                id_key=CAMPAIGN.secrets.id_key,
                redo_key=CAMPAIGN.secrets.redo_key,
            )
            redo = Redo(trial=drawn.trial, position=drawn.position)
        entry = Entry(
            seq=self.book.seq + 1,
            at_ns=now.at_ns,
            boot=now.boot,
            mono_ns=now.mono_ns,
            actor=actor.name,
            role=actor.role,
            key=key,
            command=command,
            redo=redo,
        )
        changes = self.book.decide(entry)
        self.entries.append(entry)
        return Applied.of(self.book.accept(changes), repeated=False)

    def events(self, after: int = 0, limit: int = 1000) -> list[Any]:
        return []


class World:
    """A desk, two operators with a robot each, and everything that can happen to them."""

    def __init__(self, folder: Path) -> None:
        self.clocks = Clocks()
        self.store = MemoryStore(folder, self.clocks)
        self.robots = FakeRobots.of(*ROBOTS)
        self.desk = Desk(
            self.store,  # type: ignore[arg-type]
            self.robots,
            folder=folder,
            secrets=CAMPAIGN.secrets,
            log=Log(stream=io.StringIO(), level="error"),
            clock=self.clocks.mono,
            wall=self.clocks.wall,
            boot="boot",
        )
        self.keys = 0

    async def do(self, action: str, who: int) -> None:
        """Try something; it may be refused."""
        if action in HAPPENS:
            HAPPENS[action](self)
        elif action == "look":
            await self.desk.look()
        elif action in {"policy lost", "robot lost", "task done"}:
            self.robots.on_event(ROBOTS[who], self._held(who), action)
        else:
            self.keys += 1
            with contextlib.suppress(EvaluationError):
                await self._ask(action, who, f"key-{self.keys}")

    async def _ask(self, action: str, who: int, key: str) -> None:
        person, robot, trial = PEOPLE[who], ROBOTS[who], self._held(who)
        if action == "go on":
            await self._go_on(who, key)
        elif action == "stop":
            await self.desk.stop_trial(person, trial, key)
        elif action == "void":
            await self.desk.void(person, trial, "no reason at all", key)
        elif action == "release":
            await self.desk.release(person, trial, key)
        elif action == "emergency":
            await self.desk.emergency_stop(ADA, robot, key)
        else:
            assert action == "used key"
            await self.desk.stop_trial(person, trial, "key-1")

    def _held(self, who: int) -> str:
        held = self.store.book.held_by(PEOPLE[who].name)
        return held.id if held is not None else ""

    def toggle_disk(self) -> None:
        self.store.full = not self.store.full

    def wait(self) -> None:
        self.clocks.wait(25.0)

    def jump(self) -> None:
        self.clocks.wall_s += 3600.0

    async def _go_on(self, who: int, key: str) -> None:
        """The next thing that an operator would do."""
        person, robot = PEOPLE[who], ROBOTS[who]
        held = self.store.book.held_by(person.name)
        if held is None:
            await self.desk.lease(person, robot, key)
        elif held.state is TrialState.LEASED:
            await self.desk.arm(person, held.id, key)
        elif held.state is TrialState.ARMED:
            await self.desk.start_trial(person, held.id, key)
        elif held.state is TrialState.RUNNING:
            await self.desk.stop_trial(person, held.id, key)
        elif held.state is TrialState.AWAITING_SCORE:
            answers = (True,) * len(self.store.book.task_of(held).rubric)
            await self.desk.score(person, held.id, True, answers, "", key)
        else:
            await self.desk.void(person, held.id, "interrupted", key)

    async def settle(self) -> None:
        """Let everything finish that was begun."""
        await self.desk._recorder.rest()

    def check(self) -> None:
        driven = {drive.robot: drive.trial for drive in self.desk._driving.drives}
        for name, robot in self.robots.robots.items():
            # A robot that a policy drives: recorded, running, and nothing has ended it.
            assert (robot.mode == "run") == (name in driven)
        for name, trial in driven.items():
            known = self.store.book.trials[trial]
            assert (known.state, known.robot) == (TrialState.RUNNING, name)
            assert not self.desk._recorder.owed_for(trial)
        if self.desk._recorder.trouble:
            assert not driven
        if not self.desk._recorder.owes:
            assert all(
                trial.id in driven.values() or trial.state is not TrialState.RUNNING or self._stray(trial.id)
                for trial in self.store.book.held
            )

    def _stray(self, trial: str) -> bool:
        """Whether the next look interrupts it."""
        return self.desk._driving.drives.elapsed_s(trial) is None


HAPPENS = {"full": World.toggle_disk, "time": World.wait, "jump": World.jump}

ACTIONS = st.sampled_from(
    ["go on"] * 12
    + ["stop", "void", "release", "emergency", "used key", "policy lost", "robot lost", "task done"]
    + ["full", "full", "time", "jump", "look"]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.tuples(ACTIONS, st.integers(0, 1), st.booleans()), min_size=5, max_size=60))
def test_what_moves_is_recorded_and_what_stopped_stays_so(tmp_path: Path, steps: list[tuple[str, int, bool]]) -> None:
    async def run() -> None:
        world = World(tmp_path)
        together = []
        for action, who, alone in steps:
            together.append(asyncio.ensure_future(world.do(action, who)))
            if alone:
                await asyncio.gather(*together)
                together.clear()
                await world.settle()
                world.check()
        await asyncio.gather(*together)
        await world.settle()
        world.check()
        # Once the disk has room again, everything is recorded, nothing runs unseen, and the campaign can be completed.
        world.store.full = False
        world.clocks.wait(1000.0)
        await world.desk.look()
        await world.desk.look()
        world.check()
        assert not world.desk._recorder.owes
        assert all(trial.state is not TrialState.RUNNING for trial in world.store.book.held)
        for who in (0, 1):
            while world.store.book.held_by(PEOPLE[who].name) is not None:
                await world._go_on(who, f"end-{who}-{world.store.book.seq}")
        while not world.store.book.complete:
            await world._go_on(0, f"more-{world.store.book.seq}")
        await world.desk.close()
        starts = [entry.command.trial for entry in world.store.entries if isinstance(entry.command, c.Start)]
        assert len(starts) == len(set(starts))
        assert len(world.store.book.judged) == 8

    asyncio.run(run())
