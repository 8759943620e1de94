"""The campaign as it runs: what people ask of it, with who may ask what."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.clock_jumps import ClockWatch
from unichunk.server.evaluation.desk_watch import DeskWatch
from unichunk.server.evaluation.driving import MOVES, Driving
from unichunk.server.evaluation.errors import NotAllowed, NotFound, NotNow
from unichunk.server.evaluation.leases import Leases
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import Actor
from unichunk.server.evaluation.ledger.trial import Trial, TrialState
from unichunk.server.evaluation.planning.load import policy_of
from unichunk.server.evaluation.rating_order import next_video, video_id
from unichunk.server.evaluation.recorded_video import RecordedVideo
from unichunk.server.evaluation.recorder import checked
from unichunk.server.evaluation.shown import Shown
from unichunk.server.evaluation.store.clocks import now
from unichunk.server.evaluation.views import Overview
from unichunk.server.serving.identity import Right

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unichunk.server.evaluation.driven_robots import DrivenRobots
    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets
    from unichunk.server.evaluation.store.applied import Applied
    from unichunk.server.evaluation.store.chain import Event, Head
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
    from unichunk.server.evaluation.views import RatingView, TrialView
    from unichunk.server.serving.identity import Identity
    from unichunk.server.serving.logs import Log

SEES: Final = (Right.OPERATE, Right.RATE, Right.AUDIT, Right.ADMINISTER)
"""Who may see how far the campaign is."""

LONGEST_LOG: Final = 1000
"""Events in one answer."""


class Desk:
    """What pages, the demo and the command line call; all methods in one event loop.

    Every method that changes something takes an idempotency key (printable ASCII, at most 128 characters): the same
    call with the same key does it once and returns what the first one returned. All raise `NotAllowed`, `NotFound`,
    `NotNow`, `StoreUnavailable` (nothing was recorded: again with the same key, later), or a plain `EvaluationError`
    for values that nothing could have; one line each.

    Args:
        store: The records.
        robots: All robots; their owner starts and closes them.
        folder: Of the campaign.
        secrets: What the service may know.
        log: Where events go that concern whoever runs the server.
        clock: Monotonic, [s].
        wall: UTC, [ns].
        boot: Which boot of the machine `clock` counts from; None: the machine says.
    """

    def __init__(
        self,
        store: EvaluationStore,
        robots: DrivenRobots,
        *,
        folder: Path,
        secrets: ServiceSecrets,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        boot: str | None = None,
    ) -> None:
        self._store = store
        self._book = store.book
        self._plan = store.plan
        self._robots = robots
        self._folder = folder
        self._secrets = secrets
        self._wall = wall
        self._driving = Driving(store, robots, self._policy, log=log, clock=clock)
        self._recorder = self._driving.recorder
        self._leases = Leases(clock, self._plan.campaign.rules.lease_s)
        boot = now().boot if boot is None else boot
        self._watch = DeskWatch(store, self._driving, self._leases, ClockWatch(clock, wall), log=log, boot=boot)
        self._pictureless: set[str] = set()

    async def start(self) -> None:
        """Interrupt what a server before this one left running, and begin to watch clocks.

        Raises:
            StoreUnavailable: Where that cannot be recorded.
        """
        await self._watch.start()

    async def look(self) -> None:
        """What the watch does four times a second: end what is overdue, record what is owed, look at the clocks."""
        await self._watch.look()

    async def failed(self) -> None:
        """Wait until the watch fails, which is a fault of this program; all robots hold then."""
        await self._watch.failed()

    async def close(self) -> None:
        """Hold all robots, interrupt what runs, end the watch; the store and the robots are their owner's to close."""
        await self._watch.close()

    async def finish(self) -> None:
        """Record what the robots still had to say when they were ended, after `close`."""
        await self._watch.finish()

    # What is seen.

    async def overview(self, who: Identity) -> Overview:
        """The campaign, as somebody may see it."""
        _check(who, *SEES)
        async with self._recorder.lock:
            return self._overview(who, self._shown())

    async def next_trial(self, who: Identity) -> TrialView | None:
        """The trial that `lease` would give out now; None where none is left."""
        _check(who, *SEES)
        async with self._recorder.lock:
            trial = self._book.next_trial()
            return None if trial is None else self._shown().trial(trial)

    async def trial(self, who: Identity, trial: str) -> TrialView:
        """One trial."""
        _check(who, Right.OPERATE, Right.ADMINISTER)
        async with self._recorder.lock:
            return self._shown().trial(self._book.trial(trial))

    async def frame(self, who: Identity, robot: str, camera: str | None = None) -> bytes | None:
        """What a robot's camera sees now, JPEG; None where nothing came yet."""
        _check(who, Right.OPERATE, Right.ADMINISTER)
        if robot not in self._robots.robots:
            raise NotFound(f"robot {robot!r}: was never seen")
        return await asyncio.to_thread(self._robots.frame, robot, camera)

    async def photo(self, who: Identity, sha256: str) -> bytes:
        """A reference photo, JPEG or PNG."""
        _check(who, *SEES)
        for layout in self._plan.campaign.layouts:
            if sha256 and layout.photo_sha256 == sha256:
                return await asyncio.to_thread((self._folder / layout.photo).read_bytes)
        raise NotFound(f"photo {sha256!r}: no layout has it")

    # What operators do.

    async def lease(self, who: Identity, robot: str, key: str) -> TrialView:
        """Take the next trial for a robot."""
        _check(who, Right.OPERATE)

        def command() -> Command:
            receipt = self._book.receipts.get(key)
            if receipt is not None and receipt.trial is not None:
                # Again: what the first one took, whatever is next by now.
                return c.Lease(trial=receipt.trial.id, robot=robot)
            self._driving.robot(robot)
            trial = self._book.next_trial()
            if trial is None:
                raise NotNow("lease: no trial is left to be taken")
            return c.Lease(trial=trial.id, robot=robot)

        def effect(applied: Applied) -> None:
            if not applied.repeated and applied.trial is not None:
                self._leases.begin(applied.trial.id)

        applied = await self._recorder.record(_actor(who), command, key, effect)
        assert applied.trial is not None
        return await self._view(applied.trial.id)

    async def release(self, who: Identity, trial: str, key: str, reason: str = "") -> TrialView:
        """Give it back: the robot holds."""
        known = self._mine(who, trial)
        if known.state is TrialState.ARMED:
            self._driving.hold(known.robot)
        await self._record(who, c.Release(trial=trial, reason=reason), key, self._end_lease)
        return await self._view(trial)

    async def arm(self, who: Identity, trial: str, key: str) -> TrialView:
        """The scene is set: the robot goes to its start pose. Again, if something held it on its way."""
        known = self._mine(who, trial)
        if known.state is TrialState.LEASED:
            self._driving.robot(known.robot)
        if known.state is TrialState.ARMED and key not in self._book.receipts:
            self._driving.home(known.robot)
        else:
            holds = self._driving.holds(known.robot)

            def effect(applied: Applied) -> None:
                if not applied.repeated and self._driving.holds(known.robot) == holds:
                    self._driving.home(known.robot)

            await self._record(who, c.Arm(trial=trial), key, effect)
        return await self._view(trial)

    async def start_trial(self, who: Identity, trial: str, key: str) -> TrialView:
        """The policy drives, once that is recorded."""
        known = self._mine(who, trial)
        if known.state is TrialState.ARMED and not self._driving.robot(known.robot).at_home:
            raise NotNow(f"start: robot {known.robot} is not in its start pose: wait for it, or arm the trial again")
        await self._driving.start(_actor(who), known, key)
        self._leases.end(trial)
        return await self._view(trial)

    async def stop_trial(self, who: Identity, trial: str, key: str) -> TrialView:
        """The robot holds at once; then the trial awaits its score. One that has ended by itself is left as it is."""
        known = self._mine(who, trial)
        if known.state in MOVES:
            await self._driving.stop(
                known, _actor(who), key, lambda ran_s: c.End(trial=trial, cause="operator", duration_s=ran_s)
            )
        elif known.state in {TrialState.PLANNED, TrialState.LEASED}:
            raise NotNow(f"stop: trial {trial} is {known.state.value}: it does not run")
        return await self._view(trial)

    async def emergency_stop(self, who: Identity, robot: str, key: str) -> None:
        """The robot holds at once, whoever has it; an armed or running trial is interrupted. Operators and admins."""
        _check(who, Right.OPERATE, Right.ADMINISTER)
        await self._driving.emergency_stop(robot, _actor(who), key)

    async def score(
        self,
        who: Identity,
        trial: str,
        success: bool,  # noqa: FBT001  (what a judge says)
        rubric: tuple[bool, ...],
        note: str,
        key: str,
    ) -> TrialView:
        """Judge it, once."""
        await self._record(who, c.GiveScore(trial=trial, success=success, rubric=rubric, note=note), key)
        return await self._view(trial)

    async def void(self, who: Identity, trial: str, reason: str, key: str) -> TrialView:
        """It does not count, and is done again at a random later place; the robot holds at once."""
        known = self._mine(who, trial)
        # A reason that is none must not end a trial.
        command = checked(c.Void(trial=trial, reason=reason))
        ended = known.state in MOVES and await self._driving.stop(known, _actor(who), key, lambda _: command)
        if not ended:
            await self._record(who, command, key)
        self._leases.end(trial)
        return await self._view(trial)

    async def note(self, who: Identity, trial: str, text: str, key: str) -> None:
        """Write something down."""
        await self._record(who, c.Note(trial=trial, text=text), key)

    async def guess(self, who: Identity, trial: str, policy: str, key: str) -> None:
        """Which policy the operator takes it for; empty: does not know."""
        await self._record(who, c.Guess(trial=trial, policy=policy), key)

    async def prefer(self, who: Identity, trial: str, other: str, better: str, key: str) -> None:
        """Which of two trials was better: `this`, `other` or `neither`."""
        await self._record(who, c.Prefer(trial=trial, other=other, better=better), key)  # type: ignore[arg-type]

    # What second raters do.

    async def to_rate(self, who: Identity) -> RatingView | None:
        """The video that this rater should judge next; None where none is left."""
        _check(who, Right.RATE)
        async with self._recorder.lock:
            left = {trial.id: trial for trial in self._shown().to_rate(who.name)}
        while found := next_video(self._secrets.id_key, who.name, left.keys() - self._pictureless):
            video, trial = found
            recorded = await asyncio.to_thread(RecordedVideo.find, self._episode(trial))
            if recorded is not None:
                async with self._recorder.lock:
                    return self._shown().video(left[trial], video, recorded)
            self._pictureless.add(trial)
        return None

    async def rate(
        self,
        who: Identity,
        video: str,
        success: bool,  # noqa: FBT001  (what a judge says)
        rubric: tuple[bool, ...],
        note: str,
        key: str,
    ) -> None:
        """Judge a trial again, from its video."""
        trial = await self._seen_in(who, video)
        await self._record(who, c.Rate(trial=trial, success=success, rubric=rubric, note=note), key)

    async def rating_frame(self, who: Identity, video: str, camera: str, number: int) -> bytes:
        """A picture of a video, JPEG; numbered from 1."""
        folder = self._episode(await self._seen_in(who, video))

        def read() -> bytes:
            recorded = RecordedVideo.find(folder)
            if recorded is None:
                raise NotFound(f"video {video}: has no pictures")
            return recorded.picture(camera, number)

        return await asyncio.to_thread(read)

    # What administrators and auditors do.

    async def propose_unblinding(self, who: Identity, trial: str, reason: str, key: str) -> None:
        """Emergency, the first of two administrators."""
        await self._record(who, c.ProposeUnblinding(trial=trial, reason=reason), key)

    async def confirm_unblinding(self, who: Identity, trial: str, key: str) -> str:
        """The second one; returns the policy's name."""
        await self._record(who, c.ConfirmUnblinding(trial=trial), key)
        return await self.unblinded(who, trial)

    async def unblinded(self, who: Identity, trial: str) -> str:
        """Name of the policy of a trial that two administrators have unblinded."""
        _check(who, Right.ADMINISTER)
        async with self._recorder.lock:
            known = self._book.unblindings.get(self._book.trial(trial).id)
            if known is None or not known.confirmed_by:
                raise NotAllowed(f"trial {trial}: is blinded: expected two administrators to agree first")
            return self._plan.campaign.policies[self._policy(self._book.trial(trial))].name

    async def log(self, who: Identity, after: int = 0, limit: int = LONGEST_LOG) -> list[Event]:
        """Events of the log after a sequence number; for auditors and administrators."""
        _check(who, Right.AUDIT)
        return await asyncio.to_thread(self._store.events, max(0, after), max(1, min(limit, LONGEST_LOG)))

    async def head(self, who: Identity) -> Head:
        """Head of the log, to be kept elsewhere."""
        _check(who, *SEES)
        return await asyncio.to_thread(self._store.head)

    async def _record(
        self, who: Identity, command: Command, key: str, effect: Callable[[Applied], None] = lambda _: None
    ) -> Applied:
        return await self._recorder.record(_actor(who), lambda: command, key, effect)

    def _mine(self, who: Identity, trial: str) -> Trial:
        """A trial that its operator or an administrator wants to do something to."""
        _check(who, Right.OPERATE, Right.ADMINISTER)
        known = self._book.trial(trial)
        if who.may(Right.OPERATE) and known.operator not in {"", who.name}:
            raise NotAllowed(f"trial {trial}: {known.operator} has it, not {who.name}")
        return known

    def _end_lease(self, applied: Applied) -> None:
        if applied.trial is not None:
            self._leases.end(applied.trial.id)

    async def _view(self, trial: str) -> TrialView:
        async with self._recorder.lock:
            return self._shown().trial(self._book.trial(trial))

    async def _seen_in(self, who: Identity, video: str) -> str:
        """The trial of a rater's video."""
        _check(who, Right.RATE)
        async with self._recorder.lock:
            judged = tuple(self._book.judged)
        for trial in judged:
            if video_id(self._secrets.id_key, who.name, trial) == video:
                return trial
        raise NotFound(f"video {video!r}: there is none of this id")

    def _shown(self) -> Shown:
        return Shown(self._book, self._driving.drives, self._leases)

    def _policy(self, trial: Trial) -> int:
        return policy_of(self._plan, self._secrets, trial.slot)

    def _episode(self, trial: str) -> Path:
        return self._folder / "episodes" / trial

    def _overview(self, who: Identity, shown: Shown) -> Overview:
        mine = self._book.held_by(who.name) if who.may(Right.OPERATE) else None
        working = self._book.held if who.may(Right.ADMINISTER) else ()
        rates = who.may(Right.RATE)
        return Overview(
            campaign=self._plan.campaign.name,
            campaign_id=self._plan.campaign_id,
            commitment=self._plan.commitment,
            name=who.name,
            role=who.role.value,
            scored=len(self._book.judged),
            total=len(self._plan.slots),
            voided=len(self._book.voided),
            layouts=shown.layouts(),
            tasks=shown.tasks(),
            robots=shown.robots(self._robots.robots.values()),
            mine=None if mine is None else shown.trial(mine),
            afterwards=shown.afterwards(who.name) if who.may(Right.OPERATE) else None,
            to_rate=sum(one.id not in self._pictureless for one in shown.to_rate(who.name)) if rates else 0,
            proposals=shown.proposals() if who.may(Right.ADMINISTER) else (),
            working=tuple(map(shown.trial, working)),
            recording=not self._recorder.trouble,
            trouble=self._recorder.trouble,
            complete=self._book.complete,
            ended=self._book.ended is not None,
            opened=self._book.opened,
            utc=datetime.fromtimestamp(self._wall() / 1e9, timezone.utc).isoformat(timespec="seconds"),
        )


def _check(who: Identity, *rights: Right) -> None:
    if not any(who.may(right) for right in rights):
        raise NotAllowed(f"{who.name} ({who.role.value}): may not: expected somebody who may {rights[0].value}")


def _actor(who: Identity) -> Actor:
    return Actor(who.name, who.role)
