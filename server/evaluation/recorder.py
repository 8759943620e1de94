"""One pen for the log: commands are recorded one after the other; what has happened already is never forgotten."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from unichunk.server.evaluation.errors import EvaluationError, StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger.commands import ClockJumped, Command, EndedEarly, Looked, Note, Opened, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from unichunk.server.evaluation.ledger.actor import Actor
    from unichunk.server.evaluation.store.applied import Applied
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
    from unichunk.server.serving.logs import Log

T = TypeVar("T")

LOST: Final = (StoreUnavailable, Tampered)
"""The store takes nothing; or what it holds is not what this service wrote."""


ASIDE: Final = (Note, Recorded, Looked, EndedEarly, Opened, ClockJumped)
"""Commands that leave trials in what they are in."""


@dataclass
class Owed:
    """What took effect before it was recorded: a robot that was stopped.

    Attributes:
        actor: Who did it.
        command: What.
        key: Idempotency key.
        refused: Why the records do not take it: something else came first; None while that is not known.
    """

    actor: Actor
    command: Command
    key: str
    refused: EvaluationError | None = None


class Recorder:
    """Writes commands down, in the order in which they came.

    Args:
        store: The records. Its `apply` blocks, and is called in a thread.
        log: Where failures go.
        on_loss: Called once when the store takes nothing any more.
    """

    def __init__(self, store: EvaluationStore, log: Log, on_loss: Callable[[], None]) -> None:
        self._store = store
        self._log = log
        self._on_loss = on_loss
        self._owed: deque[Owed] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.lock = asyncio.Lock()
        """Held while the store writes: who reads the book takes it too."""
        self.trouble = ""
        """Why the store takes nothing, one line; empty where it does."""

    @property
    def owes(self) -> bool:
        """Whether something happened that is not recorded yet."""
        return bool(self._owed)

    def owed_for(self, trial: str) -> Owed | None:
        """The first thing owed that changes what a trial is in."""
        for owed in self._owed:
            if not isinstance(owed.command, ASIDE) and owed.command.trial == trial:
                return owed
        return None

    def owe(self, actor: Actor, command: Command, key: str) -> Owed:
        """Remember something that has happened; `settle` records it."""
        owed = Owed(actor, command, key)
        self._owed.append(owed)
        return owed

    async def settle(self) -> None:
        """Record what is owed, to its end even where the caller is cancelled.

        Raises:
            StoreUnavailable: Where that cannot be done now; it stays owed.
        """
        if self._owed:
            await asyncio.shield(self.begin(self._settle_alone()))

    async def record(
        self,
        actor: Actor,
        command: Callable[[], Command],
        key: str,
        effect: Callable[[Applied], None] = lambda _: None,
    ) -> Applied:
        """Write a command down, after all that is owed; then, and only then, it takes effect.

        It is done whole even where the caller is cancelled, as a page's request is whose connection breaks.

        Args:
            actor: Who.
            command: Makes what is written; called when everything before it is.
            key: Idempotency key: what was recorded under it is recorded once.
            effect: Called once it is recorded, before anything else is.

        Raises:
            EvaluationError: Where it may not be, or (`StoreUnavailable`) cannot be now.
        """
        return await asyncio.shield(self.begin(self._record(actor, command, key, effect)))

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something to its end, whether somebody waits for it or not."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def rest(self) -> None:
        """Wait until everything that was begun is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever was cancelled meanwhile will not ask for it.
            task.exception()

    async def _record(
        self, actor: Actor, command: Callable[[], Command], key: str, effect: Callable[[Applied], None]
    ) -> Applied:
        async with self.lock:
            await self._settle()
            applied = await self._apply(actor, checked(command()), key)
            effect(applied)
            return applied

    async def _settle_alone(self) -> None:
        async with self.lock:
            await self._settle()

    async def _settle(self) -> None:
        while self._owed:
            owed = self._owed[0]
            try:
                await self._apply(owed.actor, owed.command, owed.key)
            except LOST:
                raise
            except EvaluationError as error:
                owed.refused = error
                self._log.event("warning", "not recorded", why=str(error))
            self._owed.popleft()

    async def _apply(self, actor: Actor, command: Command, key: str) -> Applied:
        try:
            applied = await asyncio.to_thread(self._store.apply, actor, command, key)
        except LOST as error:
            first, self.trouble = not self.trouble, str(error)
            if first:
                self._log.event("error", "nothing is recorded", why=str(error))
                self._on_loss()
            raise
        if self.trouble:
            self.trouble = ""
            self._log.event("info", "recording again")
        return applied


def checked(command: Command) -> Command:
    """A command whose fields are within their bounds: it was made from what somebody typed.

    Raises:
        EvaluationError: Which field is not, and why; one line.
    """
    try:
        known: Command = msgspec.json.decode(msgspec.json.encode(command), type=Command)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise EvaluationError(f"{command.__struct_config__.tag}: {error}") from None
    return known
