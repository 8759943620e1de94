"""The whole state of a campaign: a fold over the events of its log."""

from __future__ import annotations

import bisect
import hashlib
from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.errors import NotFound, NotNow
from unichunk.server.evaluation.ledger.records import Receipt
from unichunk.server.evaluation.ledger.rules import changes_of
from unichunk.server.evaluation.ledger.states import HELD, ON_A_ROBOT
from unichunk.server.evaluation.ledger.trial import Trial, TrialState

if TYPE_CHECKING:
    from unichunk.server.evaluation.ledger.actor import Actor
    from unichunk.server.evaluation.ledger.changes import Changes
    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.ledger.entry import Entry
    from unichunk.server.evaluation.ledger.records import Ended, GuessMade, Preferred, Rating, Unblinding
    from unichunk.server.evaluation.planning.campaign import Task
    from unichunk.server.evaluation.planning.plan import Plan


class Book:
    """All trials of a campaign and what was written about them.

    `decide` says what an event would change, or why it may not happen; `accept` makes it so. Between the two a database
    can write the changes down: the book never knows more than the database does.

    Other threads may read while one accepts, and see each trial as it was or as it is. Whoever goes through one of the
    maps copies it first (`tuple(book.ratings.values())`).

    Attributes:
        plan: What was frozen.
        seq: Number of the last event; 0 before the first.
        trials: By id.
        ratings: Second opinions, by trial and rater.
        guesses: By trial.
        preferences: By the two trials' ids.
        unblindings: Of single trials, by trial.
        recordings: SHA-256 of the recordings of trials (of their `episode.json`), by trial.
        causes: Why a trial is void, by trial: the code of the interruption before, or `operator`, `admin` or `server`,
            with `, while it ran` or `, after its end` where it had begun: who voids then has seen something of it.
        judged: Ids of scored trials, in the order in which they were.
        voided: Ids of void trials, likewise.
        receipts: What commands did, by their idempotency keys.
        ended: Where no trial is taken any more although the plan is not complete; None otherwise.
        opened: Whether the seal is open.
        last: The last event; None before the first.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seq = 0
        self.trials: dict[str, Trial] = {}
        self.ratings: dict[tuple[str, str], Rating] = {}
        self.guesses: dict[str, GuessMade] = {}
        self.preferences: dict[frozenset[str], Preferred] = {}
        self.unblindings: dict[str, Unblinding] = {}
        self.recordings: dict[str, str] = {}
        self.causes: dict[str, str] = {}
        self.judged: list[str] = []
        self.voided: list[str] = []
        self.receipts: dict[str, Receipt] = {}
        self.ended: Ended | None = None
        self.opened = False
        self.last: Entry | None = None
        tasks = {task.name: task for task in plan.campaign.tasks}
        self._task_of = {layout.name: tasks[layout.task] for layout in plan.campaign.layouts}
        self._order: list[tuple[float, str]] = []
        self._planned: list[tuple[float, str]] = []
        self._held: dict[str, Trial] = {}

    @classmethod
    def begin(cls, plan: Plan) -> Book:
        """The book of a campaign in which nothing has happened yet."""
        book = cls(plan)
        for slot in plan.slots:
            book._keep(Trial(id=slot.trial, slot=slot.slot, attempt=0, position=float(slot.slot), layout=slot.layout))
        return book

    @property
    def complete(self) -> bool:
        """Whether every slot has a scored trial."""
        return len(self.judged) == len(self.plan.slots)

    @property
    def held(self) -> tuple[Trial, ...]:
        """The trials that operators have in hand."""
        return tuple(self._held.values())

    def in_order(self) -> tuple[Trial, ...]:
        """All trials, in order of position."""
        return tuple(self.trials[trial] for _, trial in tuple(self._order))

    def next_trial(self) -> Trial | None:
        """The first one that is planned; None where none is, or the campaign was ended early."""
        first = self._planned[:1]
        return self.trials[first[0][1]] if first and self.ended is None else None

    def trial(self, trial: str) -> Trial:
        """One trial.

        Raises:
            NotFound: Where there is none of this id.
        """
        try:
            return self.trials[trial]
        except KeyError:
            raise NotFound(f"trial {trial!r}: the campaign has no such trial") from None

    def task_of(self, trial: Trial) -> Task:
        """The task that a trial is for."""
        return self._task_of[trial.layout]

    def is_free(self, position: float) -> bool:
        """Whether no trial has this place."""
        at = bisect.bisect_left(self._order, (position, ""))
        return at == len(self._order) or self._order[at][0] != position

    def held_by(self, operator: str) -> Trial | None:
        """The trial that an operator has in hand."""
        return next((trial for trial in self.held if trial.operator == operator), None)

    def held_on(self, robot: str) -> Trial | None:
        """The trial that a robot is set up for; one that was interrupted does not keep it."""
        return next((trial for trial in self.held if trial.robot == robot and trial.state in ON_A_ROBOT), None)

    def receipt(self, actor: Actor, command: Command, key: str) -> Receipt | None:
        """What the command of this key did; None where there was none.

        Raises:
            NotNow: Where the key was another command's, or another person's.
        """
        receipt = self.receipts.get(key)
        if receipt is not None and receipt.digest != digest(actor, command):
            raise NotNow(f"key {key!r}: was used for another command: expected a fresh key for each command")
        return receipt

    def decide(self, entry: Entry) -> Changes:
        """What an event changes.

        Raises:
            NotNow: Where it does not fit what the trial or the campaign is in.
            NotAllowed: Where its actor may not.
            NotFound: Where it is about a trial that does not exist.
        """
        if entry.seq != self.seq + 1:
            raise NotNow(f"event {entry.seq}: expected the next one, {self.seq + 1}")
        if entry.key in self.receipts:
            raise NotNow(f"key {entry.key!r}: was used before: expected a fresh key for each command")
        return changes_of(self, entry)

    def accept(self, changes: Changes) -> Receipt:
        """Make decided changes part of the book.

        Returns:
            What the same command will be told when it comes again.
        """
        entry = changes.entry
        self.seq, self.last = entry.seq, entry
        self.ended = changes.ended or self.ended
        self.opened = self.opened or changes.opened
        if changes.after is not None and changes.after is not changes.before:
            self._keep(changes.after)
            self._finish(changes, entry)
        if changes.added is not None:
            self._keep(changes.added)
        if changes.rating is not None:
            self.ratings[changes.rating.trial, changes.rating.rater] = changes.rating
        if changes.guess is not None:
            self.guesses[changes.guess.trial] = changes.guess
        if changes.preference is not None:
            pair = frozenset({changes.preference.trial, changes.preference.other})
            self.preferences[pair] = changes.preference
        if changes.unblinding is not None:
            self.unblindings[changes.unblinding.trial] = changes.unblinding
        if changes.recording:
            assert changes.after is not None
            self.recordings[changes.after.id] = changes.recording
        receipt = Receipt(entry.seq, digest(entry.by, entry.command), changes.after, changes.added)
        self.receipts[entry.key] = receipt
        return receipt

    def apply(self, entry: Entry) -> Changes:
        """Decide and accept; raises as `decide` does."""
        changes = self.decide(entry)
        self.accept(changes)
        return changes

    def _keep(self, trial: Trial) -> None:
        """Put a trial's newest version everywhere it belongs."""
        place = (trial.position, trial.id)
        before = self.trials.get(trial.id)
        self.trials[trial.id] = trial
        if before is None:
            bisect.insort(self._order, place)
        elif before.state is TrialState.PLANNED:
            self._planned.remove(place)
        if trial.state is TrialState.PLANNED:
            bisect.insort(self._planned, place)
        if trial.state in HELD:
            self._held[trial.id] = trial
        else:
            self._held.pop(trial.id, None)

    def _finish(self, changes: Changes, entry: Entry) -> None:
        before, after = changes.before, changes.after
        assert before is not None
        assert after is not None
        if after.state is TrialState.SCORED:
            self.judged.append(after.id)
        elif after.state is TrialState.VOID:
            self.voided.append(after.id)
            self.causes[after.id] = _cause(before, entry)


def _cause(before: Trial, entry: Entry) -> str:
    """Why a trial is void: what interrupted it, or who voided it and what they had seen of it by then."""
    if before.state is TrialState.INTERRUPTED:
        return before.reason
    who = "server" if entry.role is None else entry.role.value
    seen = {TrialState.RUNNING: ", while it ran", TrialState.AWAITING_SCORE: ", after its end"}
    return who + seen.get(before.state, "")


def digest(actor: Actor, command: Command) -> str:
    """SHA-256 of who does what, hexadecimal."""
    role = None if actor.role is None else actor.role.value
    return hashlib.sha256(msgspec.json.encode([actor.name, role, command], order="sorted")).hexdigest()
