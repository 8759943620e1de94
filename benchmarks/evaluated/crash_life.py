"""The life of one service process: it opens a campaign, goes on with it, and tells what it does until it is killed."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from unichunk.benchmarks.evaluated.crash_steps import kill_at
from unichunk.benchmarks.evaluated.lively_hands import next_move
from unichunk.server.evaluation.errors import EvaluationError, StoreUnavailable
from unichunk.server.evaluation.ledger.actor import Actor
from unichunk.server.evaluation.ledger.commands import Command, GiveScore
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets
    from unichunk.server.evaluation.store.applied import Applied

T = TypeVar("T")

PATIENCE_S = 40.0
"""How long a process goes on asking a database that does not answer, [s]."""


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A command that somebody asks for."""

    name: str
    role: Role | None
    command: Command
    key: str


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What a process tells while it lives.

    Attributes:
        what: `event`: an event that it found in the log; `score`: one that it found; `opened`: everything was read and
            checked; `asks`, `answer`: a command; `wrong`: it was answered wrongly; `step`: where it kills itself;
            `complete`: nothing is left to do.
        seq: Of the event.
        key: Of the command, or the trial of a score.
        text: Hash of an event, the score, or what is wrong.
        asked: The command.
    """

    what: Literal["event", "score", "opened", "asks", "answer", "wrong", "step", "complete"]
    seq: int = 0
    key: str = ""
    text: str = ""
    asked: Asked | None = None


@dataclass(frozen=True)
class Life:
    """What a process is to do.

    Attributes:
        folder: Of the campaign.
        secrets: Of the service.
        seed: Of what it does.
        known: Number of the last event that is known outside.
        unanswered: What the process before was killed over; None: nothing.
        answered: A command that was answered earlier, to be asked again; None: none.
        answered_seq: What the answer was.
        step: Kills itself at this step; negative: it does not.
        late: Steps count from when everything was read, not from the beginning.
        moves: How many commands it asks for.
    """

    folder: Path
    secrets: ServiceSecrets
    seed: int
    known: int
    unanswered: Asked | None
    answered: Asked | None
    answered_seq: int
    step: int
    late: bool
    moves: int


def live(life: Life, pipe: int) -> None:
    """Live; tells everything through the pipe. For a forked process: the caller ends it afterwards."""
    rng = random.Random(life.seed)  # noqa: S311  (not for secrets)
    encoder = msgspec.msgpack.Encoder()

    def tell(told: Told) -> None:
        content = encoder.encode(told)
        os.write(pipe, len(content).to_bytes(4, "big") + content)

    if life.step >= 0 and not life.late:
        kill_at(life.step, lambda name: tell(Told("step", text=name)))
    store = _patiently(lambda: EvaluationStore.open(life.folder, life.secrets))
    for event in _patiently(lambda: store.events(life.known, 1_000_000)):
        tell(Told("event", event.seq, event.entry.key, event.hash))
    for trial in store.trials():
        if trial.score is not None:
            tell(Told("score", key=trial.id, text=f"{trial.score.success} {trial.score.rubric} {trial.score.note}"))
    tell(Told("opened", store.head().seq))
    if life.step >= 0 and life.late:
        kill_at(life.step, lambda name: tell(Told("step", text=name)))
    _ask_again(store, life, tell)
    for number in range(life.moves):
        move = next_move(store.book, rng)
        if move is None:
            tell(Told("complete"))
            break
        asked = Asked(move[0].name, move[0].role, move[1], f"{life.seed}-{number}")
        tell(Told("asks", asked=asked))
        applied = _apply(store, asked)
        tell(Told("answer", applied.seq, asked.key))
    store.close()


def _ask_again(store: EvaluationStore, life: Life, tell: Callable[[Told], None]) -> None:
    """What a client does whose answer never came; and one that is confused."""
    if life.unanswered is not None:
        recorded = life.unanswered.key in store.book.receipts
        tell(Told("asks", asked=life.unanswered))
        applied = _apply(store, life.unanswered)
        tell(Told("answer", applied.seq, life.unanswered.key))
        if applied.repeated is not recorded:
            tell(Told("wrong", text=f"{life.unanswered.key}: recorded {recorded}, repeated {applied.repeated}"))
    if life.answered is not None:
        applied = _apply(store, life.answered)
        if not applied.repeated or applied.seq != life.answered_seq:
            tell(Told("wrong", text=f"{life.answered.key}: was event {life.answered_seq}, now {applied.seq}"))
    if store.book.judged:
        _score_again(store, tell)


def _score_again(store: EvaluationStore, tell: Callable[[Told], None]) -> None:
    trial = store.book.trials[store.book.judged[-1]]
    assert trial.score is not None
    again = GiveScore(trial=trial.id, success=not trial.score.success, rubric=trial.score.rubric)
    before = store.head()
    try:
        store.apply(Actor(trial.operator, Role.OPERATOR), again, f"again-{before.seq}")
    except EvaluationError:
        return
    tell(Told("wrong", text=f"trial {trial.id} was scored again"))


def _apply(store: EvaluationStore, asked: Asked) -> Applied:
    return _patiently(lambda: store.apply(Actor(asked.name, asked.role), asked.command, asked.key))


def _patiently(ask: Callable[[], T]) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
