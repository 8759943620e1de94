"""What happens by itself while a campaign runs: time-outs, leases that expire, clocks that jump, retries."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.driving import server_key
from unichunk.server.evaluation.episode_digests import episode_digests
from unichunk.server.evaluation.errors import EvaluationError
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER
from unichunk.server.evaluation.ledger.trial import TrialState
from unichunk.server.evaluation.recorder import LOST

if TYPE_CHECKING:
    from unichunk.server.evaluation.clock_jumps import ClockWatch
    from unichunk.server.evaluation.driving import Driving
    from unichunk.server.evaluation.leases import Leases
    from unichunk.server.evaluation.ledger.entry import Entry
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
    from unichunk.server.serving.logs import Log

LOOK_EVERY_S: Final = 0.25
"""How often the clocks are looked at; time-outs are exact all the same, [s]."""

SOON_S: Final = 0.005
"""The shortest pause between two looks, [s]."""

EPISODES: Final = "episodes"

PAGE: Final = 1000
"""Events read at once."""


class DeskWatch:
    """Looks at the clocks.

    Args:
        store: The records.
        driving: What runs.
        leases: What is taken.
        clocks: Compares the two clocks.
        log: Where failures go.
        boot: Which boot of the machine the monotonic clock counts from.
    """

    def __init__(
        self,
        store: EvaluationStore,
        driving: Driving,
        leases: Leases,
        clocks: ClockWatch,
        *,
        log: Log,
        boot: str,
    ) -> None:
        self._store = store
        self._book = store.book
        self._driving = driving
        self._recorder = driving.recorder
        self._leases = leases
        self._log = log
        self._clocks = clocks
        self._boot = boot
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take over from a server before this one, and begin.

        Raises:
            StoreUnavailable: Where what that one left cannot be recorded.
        """
        entries = await asyncio.to_thread(self._entries)
        taken = {one.id for one in self._book.held if one.state in {TrialState.LEASED, TrialState.ARMED}}
        self._leases.resume(entries, taken, self._boot)
        if entries and entries[-1].boot == self._boot:
            self._note_jump(self._clocks.since(entries[-1].at_ns, entries[-1].mono_ns))
        await self._driving.interrupt_strays(armed=True)
        begun = [one.id for one in self._book.trials.values() if one.started_at and one.id not in self._book.recordings]
        for trial, sha256 in (await asyncio.to_thread(episode_digests, self._store.folder / EPISODES, begun)).items():
            self._driving.recorded(trial, sha256)
        await self._recorder.settle()
        self._watching = asyncio.ensure_future(self._watch())

    async def look(self) -> None:
        """One look."""
        self._note_jump(self._clocks.look())
        self._driving.end_overdue()
        await self._driving.interrupt_strays(armed=False)
        with contextlib.suppress(*LOST):
            await self._recorder.settle()
            for trial in self._leases.expired():
                await self._give_back(trial)

    async def failed(self) -> None:
        """Wait until the watch ends."""
        if self._watching is not None:
            await asyncio.shield(self._watching)

    async def close(self) -> None:
        """End; all robots hold, what ran is interrupted."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        self._driving.hold_all()
        # What was begun is done first: it may say better why something ended.
        await self._recorder.rest()
        await self._driving.interrupt_strays(armed=True)
        await self.finish()

    async def finish(self) -> None:
        """Record what is owed, if the store takes it."""
        try:
            await self._recorder.settle()
        except LOST as error:
            self._log.event(
                "error", "ended with something unrecorded: it is interrupted at the next start", why=str(error)
            )
        await self._recorder.rest()

    async def _watch(self) -> None:
        try:
            while True:
                due_s = self._driving.drives.next_due_s()
                await asyncio.sleep(LOOK_EVERY_S if due_s is None else min(LOOK_EVERY_S, max(SOON_S, due_s)))
                await self.look()
        finally:
            self._driving.hold_all()

    async def _give_back(self, trial: str) -> None:
        """A lease is over: whatever the trial is in, it is looked at no more."""
        robot = self._book.trial(trial).robot
        holds = self._book.trial(trial).state is TrialState.ARMED
        command = c.Release(trial=trial, reason="lease expired")
        try:
            await self._recorder.record(SERVER, lambda: command, server_key())
        except LOST:
            raise
        except EvaluationError:
            # It was begun, or given back, at this very moment.
            holds = False
        self._leases.end(trial)
        if holds:
            self._driving.hold(robot)

    def _note_jump(self, by_s: float) -> None:
        if by_s:
            self._log.event("warning", "wall clock jumped", by_s=by_s)
            self._recorder.owe(SERVER, c.ClockJumped(by_s=by_s), server_key())

    def _entries(self) -> list[Entry]:
        entries: list[Entry] = []
        while events := self._store.events(entries[-1].seq if entries else 0, PAGE):
            entries += [event.entry for event in events]
        return entries
