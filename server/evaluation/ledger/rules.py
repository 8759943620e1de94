"""What may happen when, and what it changes: one function for each command (the table is in `commands.py`)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.errors import NotAllowed, NotNow
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.changes import Changes
from unichunk.server.evaluation.ledger.records import Ended, GuessMade, Preferred, Rating, Unblinding
from unichunk.server.evaluation.ledger.states import HELD, ON_A_ROBOT
from unichunk.server.evaluation.ledger.trial import Score, Trial, TrialState
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.ledger.book import Book
    from unichunk.server.evaluation.ledger.entry import Entry, Redo

SERVER: Final = None
"""The role of the server itself."""

POLICY_LOST: Final = "policy lost"

WHO: Final[dict[type[c.Command], frozenset[Role | None]]] = {
    c.Lease: frozenset({Role.OPERATOR}),
    c.Release: frozenset({Role.OPERATOR, Role.ADMIN, SERVER}),
    c.Arm: frozenset({Role.OPERATOR}),
    c.Start: frozenset({Role.OPERATOR}),
    c.End: frozenset({Role.OPERATOR, SERVER}),
    c.Interrupt: frozenset({SERVER}),
    c.GiveScore: frozenset({Role.OPERATOR}),
    c.CountAsFailure: frozenset({SERVER}),
    c.Void: frozenset({Role.OPERATOR, Role.ADMIN, SERVER}),
    c.Rate: frozenset({Role.RATER}),
    c.Guess: frozenset({Role.OPERATOR}),
    c.Prefer: frozenset({Role.OPERATOR}),
    c.Note: frozenset({Role.OPERATOR, Role.RATER, Role.ADMIN}),
    c.Recorded: frozenset({SERVER}),
    c.ProposeUnblinding: frozenset({Role.ADMIN}),
    c.ConfirmUnblinding: frozenset({Role.ADMIN}),
    c.Looked: frozenset({Role.ADMIN}),
    c.EndedEarly: frozenset({Role.ADMIN}),
    c.Opened: frozenset({Role.ADMIN}),
    c.ClockJumped: frozenset({SERVER}),
}
"""Who may do what. Admins can open single trials, so they never judge any."""

HOLDERS: Final = (c.Release, c.Arm, c.Start, c.End, c.GiveScore, c.Void)
"""What operators may do with the trial that they have in hand, and with no other."""

BEFORE: Final[dict[type[c.Command], frozenset[TrialState]]] = {
    c.Lease: frozenset({TrialState.PLANNED}),
    c.Release: frozenset({TrialState.LEASED, TrialState.ARMED}),
    c.Arm: frozenset({TrialState.LEASED}),
    c.Start: frozenset({TrialState.ARMED}),
    c.End: frozenset({TrialState.RUNNING}),
    c.Interrupt: frozenset({TrialState.ARMED, TrialState.RUNNING}),
    c.GiveScore: frozenset({TrialState.AWAITING_SCORE}),
    c.CountAsFailure: frozenset({TrialState.INTERRUPTED}),
    c.Void: HELD,
    c.Rate: frozenset({TrialState.SCORED}),
    c.Guess: frozenset({TrialState.SCORED}),
    c.Prefer: frozenset({TrialState.SCORED}),
    c.Note: frozenset(TrialState) - {TrialState.PLANNED},
    c.Recorded: frozenset(TrialState) - {TrialState.PLANNED},
    c.ProposeUnblinding: frozenset(TrialState) - {TrialState.PLANNED},
    c.ConfirmUnblinding: frozenset(TrialState) - {TrialState.PLANNED},
}
"""What a trial has to be in for a command."""

OF_THE_CAMPAIGN: Final = (c.Looked, c.EndedEarly, c.Opened, c.ClockJumped)
"""What is about no single trial."""

AFTERWARDS: Final = (c.Note, c.ClockJumped)
"""What may still happen once the campaign was opened: nothing that a known policy could sway."""


def changes_of(book: Book, entry: Entry) -> Changes:
    """What an event changes in a book.

    Raises:
        NotNow: Where it does not fit what the trial or the campaign is in.
        NotAllowed: Where its actor may not.
        NotFound: Where it is about a trial that does not exist.
    """
    command = entry.command
    if entry.role not in WHO[type(command)]:
        who = "the server" if entry.role is None else f"{entry.actor} ({entry.role.value})"
        allowed = " or ".join(sorted("the server" if role is None else role.value for role in WHO[type(command)]))
        raise NotAllowed(f"{_name(command)}: {who} may not: expected {allowed}")
    if entry.redo is not None and not isinstance(command, c.Void):
        raise NotNow(f"{_name(command)}: came with a trial to be done again, only a void one is")
    if book.opened and not isinstance(command, AFTERWARDS):
        raise NotNow(f"{_name(command)}: the campaign was opened: nothing can be changed any more")
    if isinstance(command, OF_THE_CAMPAIGN):
        return _of_the_campaign(book, entry, command)
    trial = book.trial(command.trial)
    if entry.role is Role.OPERATOR and isinstance(command, HOLDERS) and trial.operator != entry.actor:
        whose = f"{trial.operator} has it" if trial.operator else "nobody has it"
        raise NotAllowed(f"{_name(command)}: trial {trial.id} is not {entry.actor}'s: {whose}")
    if trial.state not in BEFORE[type(command)]:
        expected = " or ".join(sorted(state.value for state in BEFORE[type(command)]))
        raise NotNow(f"{_name(command)}: trial {trial.id} is {trial.state.value}: expected {expected}")
    return RULES[type(command)](book, entry, trial)


def _of_the_campaign(book: Book, entry: Entry, command: c.Looked | c.EndedEarly | c.Opened | c.ClockJumped) -> Changes:
    if isinstance(command, c.Opened):
        return _opened(book, entry)
    if isinstance(command, c.EndedEarly):
        return _ended_early(book, entry, command)
    if isinstance(command, c.Looked):
        _check_look(book, command)
    return Changes(entry)


def _opened(book: Book, entry: Entry) -> Changes:
    if not book.complete and book.ended is None:
        raise NotNow(f"opened: {len(book.judged)} of {len(book.plan.slots)} trials are scored: expected all of them")
    return Changes(entry, opened=True)


def _check_look(book: Book, command: c.Looked) -> None:
    if not book.plan.campaign.analysis.sequential:
        raise NotNow("looked: the plan has no sequential test (analysis.sequential): expected no look before its end")
    if command.scored != len(book.judged):
        raise NotNow(f"looked: {command.scored} trials: expected all that are scored, {len(book.judged)}")


def _ended_early(book: Book, entry: Entry, command: c.EndedEarly) -> Changes:
    """Whoever ends it takes every trial as it is: none may be left whose score is still to come."""
    if book.ended is not None:
        raise NotNow(f"ended early: {book.ended.by} has ended it already: expected one end")
    if book.complete:
        raise NotNow("ended early: every trial is scored: the plan is complete, there is nothing to end")
    busy = next((one for one in book.held if one.state in ON_A_ROBOT), None)
    if busy is not None:
        raise NotNow(f"ended early: {busy.operator} has trial {busy.id} ({busy.state.value}): finish it first")
    failed = next((one for one in book.held if _is_failure(book, one)), None)
    if failed is not None:
        raise NotNow(f"ended early: trial {failed.id} is a failure by the plan's rule: let the service count it first")
    return Changes(entry, ended=Ended(command.reason, entry.actor))


def _lease(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Lease)
    if book.ended is not None:
        raise NotNow(f"lease: {book.ended.by} has ended the campaign early: no trial is taken any more")
    first = book.next_trial()
    if first is not trial:
        raise NotNow(f"lease: trial {trial.id} is not the next one: trials are taken in their order")
    mine = book.held_by(entry.actor)
    if mine is not None:
        raise NotNow(f"lease: {entry.actor} has trial {mine.id} in hand ({mine.state.value}): finish it first")
    other = book.held_on(command.robot)
    if other is not None:
        raise NotNow(f"lease: robot {command.robot} is set up for trial {other.id} of {other.operator}")
    return _now(entry, trial, state=TrialState.LEASED, operator=entry.actor, robot=command.robot)


def _release(_book: Book, entry: Entry, trial: Trial) -> Changes:
    return _now(entry, trial, state=TrialState.PLANNED, operator="", robot="")


def _arm(_book: Book, entry: Entry, trial: Trial) -> Changes:
    return _now(entry, trial, state=TrialState.ARMED)


def _start(_book: Book, entry: Entry, trial: Trial) -> Changes:
    return _now(entry, trial, state=TrialState.RUNNING, started_at=entry.at_ns)


def _end(_book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.End)
    if entry.role is Role.OPERATOR and command.cause != "operator":
        raise NotAllowed(f"end: cause {command.cause!r} is the server's to say: expected 'operator'")
    return _now(entry, trial, state=TrialState.AWAITING_SCORE, ended_at=entry.at_ns, duration_s=command.duration_s)


def _interrupt(_book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Interrupt)
    return _now(
        entry,
        trial,
        state=TrialState.INTERRUPTED,
        reason=command.code,
        ended_at=entry.at_ns,
        duration_s=command.duration_s,
    )


def _score(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.GiveScore)
    _check_rubric(book, trial, command)
    return _now(entry, trial, state=TrialState.SCORED, score=_seen(entry, command))


def _count_as_failure(book: Book, entry: Entry, trial: Trial) -> Changes:
    if not _is_failure(book, trial):
        rule = book.plan.campaign.rules.policy_death
        raise NotNow(f"count as failure: trial {trial.id}: {trial.reason!r} with the plan's rule {rule!r} is none")
    rubric = (False,) * len(book.task_of(trial).rubric)
    return _now(entry, trial, state=TrialState.SCORED, score=Score(False, rubric, trial.reason, entry.actor))  # noqa: FBT003


def _void(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Void)
    if trial.state is TrialState.INTERRUPTED and _is_failure(book, trial):
        raise NotNow(f"void: trial {trial.id}: by the plan's rule {trial.reason!r} counts as a failure")
    added = Trial(
        id=_fresh(book, trial, entry.redo),
        slot=trial.slot,
        attempt=trial.attempt + 1,
        position=entry.redo.position if entry.redo else math.nan,
        layout=trial.layout,
    )
    ended = trial.ended_at or (entry.at_ns if trial.started_at else 0)
    changes = _now(entry, trial, state=TrialState.VOID, reason=command.reason, ended_at=ended)
    return replace(changes, added=added)


def _rate(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Rate)
    if not book.plan.campaign.rules.second_rater:
        raise NotNow("rate: the plan has no second rater (rules.second_rater)")
    if trial.operator == entry.actor:
        raise NotAllowed(f"rate: {entry.actor} ran trial {trial.id}: expected somebody else")
    if (trial.id, entry.actor) in book.ratings:
        raise NotNow(f"rate: {entry.actor} has judged trial {trial.id} already: expected one judgement")
    _check_rubric(book, trial, command)
    rating = Rating(trial.id, entry.actor, _seen(entry, command), entry.seq)
    return Changes(entry, trial, trial, rating=rating)


def _guess(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Guess)
    if not book.plan.campaign.blinding.guesses:
        raise NotNow("guess: the plan asks for no guesses (blinding.guesses)")
    _check_mine(entry, trial)
    if trial.id in book.guesses:
        raise NotNow(f"guess: {entry.actor} has guessed trial {trial.id} already: expected one guess")
    names = [policy.name for policy in book.plan.campaign.policies]
    if command.policy and command.policy not in names:
        raise NotNow(f"guess: {command.policy!r}: expected one of {', '.join(names)}, or nothing")
    return Changes(entry, trial, trial, guess=GuessMade(trial.id, entry.actor, command.policy))


def _prefer(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Prefer)
    if not book.plan.campaign.rules.preferences:
        raise NotNow("prefer: the plan asks for no preferences (rules.preferences)")
    other = book.trial(command.other)
    _check_mine(entry, trial)
    _check_mine(entry, other)
    if other.id == trial.id or other.state is not TrialState.SCORED or book.task_of(other) != book.task_of(trial):
        raise NotNow(f"prefer: trials {trial.id} and {other.id}: expected two scored ones of the same task")
    if frozenset({trial.id, other.id}) in book.preferences:
        raise NotNow(f"prefer: trials {trial.id} and {other.id} were compared already: expected one comparison")
    return Changes(entry, trial, trial, preference=Preferred(trial.id, other.id, command.better, entry.actor))


def _note(_book: Book, entry: Entry, trial: Trial) -> Changes:
    return Changes(entry, trial, trial)


def _recorded(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.Recorded)
    if trial.id in book.recordings:
        raise NotNow(f"recorded: trial {trial.id}: its recording is complete already: expected one")
    return Changes(entry, trial, trial, recording=command.sha256)


def _propose(book: Book, entry: Entry, trial: Trial) -> Changes:
    command = entry.command
    assert isinstance(command, c.ProposeUnblinding)
    known = book.unblindings.get(trial.id)
    if known is not None:
        by = known.confirmed_by or known.proposed_by
        raise NotNow(
            f"propose unblinding: trial {trial.id}: {by} has {'confirmed' if known.confirmed_by else 'proposed'} it"
            f"{'' if known.confirmed_by else ': expected another admin to confirm'}"
        )
    return Changes(entry, trial, trial, unblinding=Unblinding(trial.id, command.reason, entry.actor))


def _confirm(book: Book, entry: Entry, trial: Trial) -> Changes:
    known = book.unblindings.get(trial.id)
    if known is None:
        raise NotNow(f"confirm unblinding: trial {trial.id}: nobody has proposed it")
    if known.confirmed_by:
        raise NotNow(f"confirm unblinding: trial {trial.id}: {known.confirmed_by} has confirmed it already")
    if known.proposed_by == entry.actor:
        raise NotAllowed(f"confirm unblinding: {entry.actor} has proposed it: expected a second person")
    # Of the slot: a trial that is done again for an unblinded one is not blind either.
    before_score = not any(one.slot == trial.slot and one.score is not None for one in book.in_order())
    return Changes(entry, trial, trial, unblinding=replace(known, confirmed_by=entry.actor, before_score=before_score))


RULES: Final[dict[type[c.Command], Callable[[Book, Entry, Trial], Changes]]] = {
    c.Lease: _lease,
    c.Release: _release,
    c.Arm: _arm,
    c.Start: _start,
    c.End: _end,
    c.Interrupt: _interrupt,
    c.GiveScore: _score,
    c.CountAsFailure: _count_as_failure,
    c.Void: _void,
    c.Rate: _rate,
    c.Guess: _guess,
    c.Prefer: _prefer,
    c.Note: _note,
    c.Recorded: _recorded,
    c.ProposeUnblinding: _propose,
    c.ConfirmUnblinding: _confirm,
}
"""What each command about a trial changes."""


def _now(entry: Entry, trial: Trial, **fields: object) -> Changes:
    after = replace(trial, version=trial.version + 1, **fields)  # type: ignore[arg-type]
    return Changes(entry, trial, after)


def _name(command: c.Command) -> str:
    return str(command.__struct_config__.tag)


def _seen(entry: Entry, command: c.GiveScore | c.Rate) -> Score:
    return Score(command.success, command.rubric, command.note, entry.actor)


def _check_rubric(book: Book, trial: Trial, command: c.GiveScore | c.Rate) -> None:
    expected = len(book.task_of(trial).rubric)
    if len(command.rubric) != expected:
        raise NotNow(f"{_name(command)}: rubric has {len(command.rubric)} answers: expected {expected}, as the task")


def _check_mine(entry: Entry, trial: Trial) -> None:
    if trial.operator != entry.actor:
        raise NotAllowed(f"{_name(entry.command)}: {entry.actor} did not run trial {trial.id}: expected its operator")


def _is_failure(book: Book, trial: Trial) -> bool:
    """Whether the plan says that the way in which a trial was interrupted is a failure."""
    return trial.reason == POLICY_LOST and book.plan.campaign.rules.policy_death == "failure"


def _fresh(book: Book, trial: Trial, redo: Redo | None) -> str:
    """The id of the trial that is done again, once it and its place were checked."""
    if redo is None:
        raise NotNow(f"void: trial {trial.id}: expected the trial that is done instead")
    if redo.trial in book.trials:
        raise NotNow(f"void: trial {trial.id}: {redo.trial} exists already: expected a fresh id")
    if not (math.isfinite(redo.position) and redo.position > trial.position and book.is_free(redo.position)):
        raise NotNow(f"void: trial {trial.id}: position {redo.position} is taken or not after {trial.position}")
    return redo.trial
