"""People and robots of a campaign who do everything that may be done, in random order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from unichunk.benchmarks.evaluated.small_campaign import ADA, ANN, BOB, EVE, RAY
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER, Actor
from unichunk.server.evaluation.ledger.trial import Trial, TrialState

if TYPE_CHECKING:
    import random

    from unichunk.server.evaluation.ledger.book import Book

CODES: Final[tuple[Literal["robot lost", "policy lost", "server ended", "emergency stop"], ...]] = (
    "robot lost",
    "policy lost",
    "server ended",
    "emergency stop",
)
ROBOTS: Final = {ANN.name: "left robot", BOB.name: "right robot"}


def next_move(book: Book, rng: random.Random) -> tuple[Actor, c.Command] | None:
    """Something that may happen now.

    Args:
        book: Of a campaign with second rater and preferences.
        rng: Chooses.

    Returns:
        Who does what; None where every trial is scored, and rated.
    """
    aside = _aside(book, rng) if rng.random() < 0.2 else None
    if aside is not None:
        return aside
    operator = rng.choice((ANN, BOB))
    held = book.held_by(operator.name)
    if held is not None:
        return _go_on(held, operator, book, rng)
    first = book.next_trial()
    if first is not None:
        return operator, c.Lease(trial=first.id, robot=ROBOTS[operator.name])
    if book.held:
        other = book.held[0]
        return _go_on(other, ANN if other.operator == ANN.name else BOB, book, rng)
    unrated = [trial for trial in book.judged if (trial, RAY.name) not in book.ratings]
    return (RAY, _rate(book, unrated[0], rng)) if unrated else None


def _go_on(trial: Trial, operator: Actor, book: Book, rng: random.Random) -> tuple[Actor, c.Command]:
    if trial.state is TrialState.INTERRUPTED or rng.random() < 0.06:
        who = rng.choice((operator, ADA, SERVER))
        return who, c.Void(trial=trial.id, reason=rng.choice(("cup fell over", "camera was covered")))
    if trial.state in {TrialState.LEASED, TrialState.ARMED} and rng.random() < 0.08:
        return rng.choice((operator, SERVER)), c.Release(trial=trial.id, reason="a break")
    if trial.state in {TrialState.ARMED, TrialState.RUNNING} and rng.random() < 0.06:
        return SERVER, c.Interrupt(trial=trial.id, code=rng.choice(CODES), duration_s=rng.random())
    return _forward(trial, operator, book, rng)


def _forward(trial: Trial, operator: Actor, book: Book, rng: random.Random) -> tuple[Actor, c.Command]:
    if trial.state is TrialState.LEASED:
        return operator, c.Arm(trial=trial.id)
    if trial.state is TrialState.ARMED:
        return operator, c.Start(trial=trial.id)
    if trial.state is TrialState.RUNNING:
        return SERVER, c.End(trial=trial.id, cause="timeout", duration_s=60 * rng.random())
    note = rng.choice(("", "slow", "déjà vu"))
    answers = tuple(rng.random() < 0.5 for _ in book.task_of(trial).rubric)
    return operator, c.GiveScore(trial=trial.id, success=rng.random() < 0.5, rubric=answers, note=note)


def _aside(book: Book, rng: random.Random) -> tuple[Actor, c.Command] | None:
    """Something that moves no trial."""
    if not book.judged:
        return SERVER, c.ClockJumped(by_s=rng.uniform(-60, 60))
    trial = book.trials[rng.choice(book.judged)]
    operator = Actor(trial.operator, ANN.role)
    choices: list[tuple[Actor, c.Command]] = [
        (operator, c.Note(trial=trial.id, text="a note")),
        (ADA, c.Looked(scored=len(book.judged))),
    ]
    if trial.id not in book.recordings:
        choices.append((SERVER, c.Recorded(trial=trial.id, sha256=f"{rng.getrandbits(256):064x}")))
    if (trial.id, RAY.name) not in book.ratings:
        choices.append((RAY, _rate(book, trial.id, rng)))
    if trial.id not in book.guesses:
        choices.append((operator, c.Guess(trial=trial.id, policy=rng.choice(("", "policy 0")))))
    unblinding = book.unblindings.get(trial.id)
    if unblinding is None:
        choices.append((ADA, c.ProposeUnblinding(trial=trial.id, reason="smoke")))
    elif not unblinding.confirmed_by:
        choices.append((EVE, c.ConfirmUnblinding(trial=trial.id)))
    other = book.trials[rng.choice(book.judged)]
    same = other.id != trial.id and other.operator == trial.operator and book.task_of(other) == book.task_of(trial)
    if same and frozenset({trial.id, other.id}) not in book.preferences:
        choices.append((operator, c.Prefer(trial=trial.id, other=other.id, better="this")))
    return rng.choice(choices)


def _rate(book: Book, trial: str, rng: random.Random) -> c.Rate:
    answers = tuple(rng.random() < 0.5 for _ in book.task_of(book.trials[trial]).rubric)
    return c.Rate(trial=trial, success=rng.random() < 0.5, rubric=answers, note="seen")
