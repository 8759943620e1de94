"""The book: who may do what when, and what it changes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.small_campaign import ADA, ANN, BOB, EVE, RAY, small
from unichunk.server.evaluation.errors import EvaluationError, NotAllowed, NotFound, NotNow
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER, Actor
from unichunk.server.evaluation.ledger.book import Book
from unichunk.server.evaluation.ledger.entry import Entry, Redo
from unichunk.server.evaluation.ledger.records import Ended
from unichunk.server.evaluation.ledger.rules import BEFORE, RULES, WHO
from unichunk.server.evaluation.ledger.states import ON_A_ROBOT
from unichunk.server.evaluation.ledger.trial import Trial, TrialState
from unichunk.server.evaluation.planning.campaign import Analysis
from unichunk.server.evaluation.store.redo_rule import redo_rule
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = small()
REDO = redo_rule(SMALL.plan, SMALL.secrets.id_key, SMALL.secrets.redo_key)


class Writer:
    """Writes in a book, with a clock that counts."""

    def __init__(self, **options: Any) -> None:
        self.campaign = small(**options) if options else SMALL
        self.book = Book.begin(self.campaign.plan)

    def entry(self, actor: Actor, command: c.Command, key: str = "", redo: Redo | None = None) -> Entry:
        seq = self.book.seq + 1
        if isinstance(command, c.Void) and redo is None and command.trial in self.book.trials:
            redo = REDO(self.book, command.trial)
        return Entry(
            seq=seq,
            at_ns=seq * 10**9,
            boot="",
            mono_ns=0,
            actor=actor.name,
            role=actor.role,
            key=key or f"k{seq}",
            command=command,
            redo=redo,
        )

    def do(self, actor: Actor, command: c.Command, **options: Any) -> Trial:
        self.book.apply(self.entry(actor, command, **options))
        trial = getattr(command, "trial", None)
        return self.book.trials[trial] if trial else next(iter(self.book.trials.values()))

    def up_to(self, state: TrialState, operator: Actor = ANN, robot: str = "r1") -> Trial:
        """The next trial, brought to a state."""
        first = self.book.next_trial()
        assert first is not None
        trial = first.id
        steps: list[tuple[Actor, c.Command]] = [
            (operator, c.Lease(trial=trial, robot=robot)),
            (operator, c.Arm(trial=trial)),
            (operator, c.Start(trial=trial)),
            (operator, c.End(trial=trial, cause="operator", duration_s=2.0)),
        ]
        order = [TrialState.PLANNED, TrialState.LEASED, TrialState.ARMED, TrialState.RUNNING, TrialState.AWAITING_SCORE]
        last = {TrialState.VOID: 1, TrialState.INTERRUPTED: 3, TrialState.SCORED: 4}.get(state)
        for step in steps[: order.index(state) if last is None else last]:
            self.do(*step)
        if state is TrialState.VOID:
            self.do(operator, c.Void(trial=trial, reason="cup fell"))
        elif state is TrialState.INTERRUPTED:
            self.do(SERVER, c.Interrupt(trial=trial, code="policy lost", duration_s=1.0))
        elif state is TrialState.SCORED:
            self.do(operator, self.score(trial))
        return self.book.trials[trial]

    def score(self, trial: str, *, success: bool = True) -> c.GiveScore:
        rubric = (True,) * len(self.book.task_of(self.book.trials[trial]).rubric)
        return c.GiveScore(trial=trial, success=success, rubric=rubric)

    def complete(self) -> None:
        while self.book.next_trial():
            self.up_to(TrialState.SCORED)


COMMANDS: dict[type, Callable[[Writer, str], c.Command]] = {
    c.Lease: lambda _, trial: c.Lease(trial=trial, robot="r1"),
    c.Release: lambda _, trial: c.Release(trial=trial),
    c.Arm: lambda _, trial: c.Arm(trial=trial),
    c.Start: lambda _, trial: c.Start(trial=trial),
    c.End: lambda _, trial: c.End(trial=trial, cause="operator", duration_s=1.0),
    c.Interrupt: lambda _, trial: c.Interrupt(trial=trial, code="robot lost"),
    c.GiveScore: lambda writer, trial: writer.score(trial),
    c.CountAsFailure: lambda _, trial: c.CountAsFailure(trial=trial),
    c.Void: lambda _, trial: c.Void(trial=trial, reason="cup fell"),
    c.Rate: lambda writer, trial: c.Rate(trial=trial, success=True, rubric=writer.score(trial).rubric),
    c.Guess: lambda _, trial: c.Guess(trial=trial, policy="policy 1"),
    c.Note: lambda _, trial: c.Note(trial=trial, text="a note"),
    c.Recorded: lambda _, trial: c.Recorded(trial=trial, sha256="0" * 64),
    c.ProposeUnblinding: lambda _, trial: c.ProposeUnblinding(trial=trial, reason="smoke"),
}
ACTORS = {Role.OPERATOR: ANN, Role.ADMIN: ADA, Role.RATER: RAY, None: SERVER}
AFTER = {
    c.Lease: TrialState.LEASED,
    c.Release: TrialState.PLANNED,
    c.Arm: TrialState.ARMED,
    c.Start: TrialState.RUNNING,
    c.End: TrialState.AWAITING_SCORE,
    c.Interrupt: TrialState.INTERRUPTED,
    c.GiveScore: TrialState.SCORED,
    c.CountAsFailure: TrialState.SCORED,
    c.Void: TrialState.VOID,
}


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", TrialState, ids=lambda state: state.value)
def test_every_command_in_every_state_by_every_role(kind: type[c.Command], state: TrialState) -> None:
    """As the table says, and nothing else."""
    options = {"policy_death": "failure"} if kind is c.CountAsFailure else {}
    for role in Role:
        writer = Writer(**options)
        trial = writer.up_to(state)
        actor = ACTORS.get(role, Actor("somebody", role))
        if role in WHO[kind] and state in BEFORE[kind]:
            continue
        before = (writer.book.seq, dict(writer.book.trials))
        with pytest.raises((NotNow, NotAllowed)):
            writer.do(actor, COMMANDS[kind](writer, trial.id))
        assert before == (writer.book.seq, dict(writer.book.trials))
    for role in WHO[kind] if state in BEFORE[kind] else ():
        writer = Writer(**options)
        trial = writer.up_to(state)
        after = writer.do(ACTORS[role], COMMANDS[kind](writer, trial.id))
        assert after.state is AFTER.get(kind, state)
        assert after.version == trial.version + (kind in AFTER)


def test_no_command_is_without_rules() -> None:
    kinds = set(c.Command.__args__)  # type: ignore[attr-defined]
    assert set(WHO) == kinds
    assert set(RULES) == set(BEFORE) == {kind for kind in kinds if "trial" in kind.__struct_fields__}


@pytest.mark.parametrize("kind", [c.Release, c.Arm, c.Start, c.End, c.GiveScore, c.Void, c.Guess])
def test_nobody_touches_anothers_trial(kind: type[c.Command]) -> None:
    writer = Writer()
    trial = writer.up_to(next(iter(sorted(BEFORE[kind], key=lambda state: state.value))))
    with pytest.raises(NotAllowed, match=r"ann has it|bob did not run"):
        writer.do(BOB, COMMANDS[kind](writer, trial.id))


def test_trials_are_taken_in_their_order() -> None:
    writer = Writer()
    second = writer.book.in_order()[1]
    with pytest.raises(NotNow, match="order"):
        writer.do(ANN, c.Lease(trial=second.id, robot="r1"))


def test_two_operators_on_one_trial() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.LEASED)
    with pytest.raises(NotNow, match="is leased"):
        writer.do(BOB, c.Lease(trial=trial.id, robot="r2"))


def test_one_trial_in_hand_and_one_on_a_robot() -> None:
    writer = Writer()
    writer.up_to(TrialState.LEASED)
    following = writer.book.next_trial()
    assert following is not None
    with pytest.raises(NotNow, match="in hand"):
        writer.do(ANN, c.Lease(trial=following.id, robot="r2"))
    with pytest.raises(NotNow, match="robot r1"):
        writer.do(BOB, c.Lease(trial=following.id, robot="r1"))
    assert writer.do(BOB, c.Lease(trial=following.id, robot="r2")).operator == "bob"


def test_an_interrupted_trial_frees_its_robot_but_not_its_operator() -> None:
    writer = Writer()
    writer.up_to(TrialState.INTERRUPTED)
    following = writer.book.next_trial()
    assert following is not None
    with pytest.raises(NotNow, match="in hand"):
        writer.do(ANN, c.Lease(trial=following.id, robot="r1"))
    assert writer.do(BOB, c.Lease(trial=following.id, robot="r1")).robot == "r1"


def test_a_score_only_once() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.SCORED)
    with pytest.raises(NotNow, match="is scored"):
        writer.do(ANN, writer.score(trial.id, success=False))
    with pytest.raises(NotNow, match="is scored"):
        writer.do(ANN, c.Void(trial=trial.id, reason="did not like it"))
    kept = writer.book.trials[trial.id].score
    assert kept is not None
    assert kept.success


def test_a_score_for_a_trial_that_does_not_exist() -> None:
    with pytest.raises(NotFound, match="no such trial"):
        Writer().do(ANN, c.GiveScore(trial="nowhere", success=True))


def test_the_rubric_has_to_be_the_tasks() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.AWAITING_SCORE)
    expected = len(writer.book.task_of(trial).rubric)
    with pytest.raises(NotNow, match=f"expected {expected}"):
        writer.do(ANN, c.GiveScore(trial=trial.id, success=True, rubric=(True,) * (expected + 1)))


def test_times_are_the_entrys() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.SCORED)
    assert (trial.started_at, trial.ended_at, trial.duration_s) == (3 * 10**9, 4 * 10**9, 2.0)


def test_operators_cannot_say_that_time_was_out() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.RUNNING)
    with pytest.raises(NotAllowed, match="timeout"):
        writer.do(ANN, c.End(trial=trial.id, cause="timeout", duration_s=1.0))
    assert writer.do(SERVER, c.End(trial=trial.id, cause="timeout", duration_s=60.0)).state is TrialState.AWAITING_SCORE


def test_a_void_trial_is_done_again_later() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.VOID)
    redone = next(other for other in writer.book.trials.values() if other.attempt == 1)
    assert (redone.slot, redone.layout, redone.state) == (trial.slot, trial.layout, TrialState.PLANNED)
    assert redone.position > trial.position
    assert writer.book.causes[trial.id] == "operator"
    writer.complete()
    assert writer.book.complete
    assert len(writer.book.judged) == len(writer.campaign.plan.slots)


@pytest.mark.parametrize(
    "redo",
    [
        Redo(trial="a" * 16, position=-1.0),
        Redo(trial="a" * 16, position=0.0),
        Redo(trial="a" * 16, position=1.0),
        Redo(trial="a" * 16, position=float("nan")),
        Redo(trial="a" * 16, position=float("inf")),
        Redo(trial=SMALL.plan.slots[2].trial, position=1.5),
    ],
    ids=["before", "its own place", "taken", "nan", "infinite", "known id"],
)
def test_no_trial_is_done_again_just_anywhere(redo: Redo) -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.LEASED)
    with pytest.raises(NotNow):
        writer.do(ANN, c.Void(trial=trial.id, reason="cup fell"), redo=redo)
    with pytest.raises(NotNow, match="only a void one"):
        writer.do(ANN, c.Arm(trial=trial.id), redo=Redo(trial="b" * 16, position=99.0))


def test_a_dead_policy_is_a_failure_where_the_plan_says_so() -> None:
    writer = Writer(policy_death="failure")
    trial = writer.up_to(TrialState.INTERRUPTED)
    with pytest.raises(NotNow, match="failure"):
        writer.do(ANN, c.Void(trial=trial.id, reason="policy died"))
    scored = writer.do(SERVER, c.CountAsFailure(trial=trial.id))
    assert scored.score is not None
    assert (scored.score.success, scored.score.note) == (False, "policy lost")
    assert len(scored.score.rubric) == len(writer.book.task_of(trial).rubric)


def test_what_was_seen_of_a_void_trial_is_said() -> None:
    causes = []
    for state in (TrialState.LEASED, TrialState.ARMED, TrialState.RUNNING, TrialState.AWAITING_SCORE):
        for actor in (ANN, ADA) if state is TrialState.LEASED else (ANN, SERVER):
            writer = Writer()
            trial = writer.up_to(state)
            writer.do(actor, c.Void(trial=trial.id, reason="cup fell"))
            causes.append(writer.book.causes[trial.id])
    assert causes[:4] == ["operator", "admin", "operator", "server"]
    assert causes[4:6] == ["operator, while it ran", "server, while it ran"]
    assert causes[6:] == ["operator, after its end", "server, after its end"]


def test_and_nowhere_else() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.INTERRUPTED)
    with pytest.raises(NotNow, match="policy lost"):
        writer.do(SERVER, c.CountAsFailure(trial=trial.id))
    writer.do(ANN, c.Void(trial=trial.id, reason="policy died"))
    assert writer.book.causes[trial.id] == "policy lost"


def test_raters_judge_once_and_never_their_own() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.SCORED)
    rate = COMMANDS[c.Rate](writer, trial.id)
    writer.do(RAY, rate)
    with pytest.raises(NotNow, match="already"):
        writer.do(RAY, rate)
    with pytest.raises(NotAllowed, match="ran"):
        writer.do(Actor("ann", Role.RATER), rate)
    assert writer.book.trials[trial.id] == trial


def test_preferences_are_of_two_trials_of_a_task_and_an_operator() -> None:
    writer = Writer(trials_per_cell=2)
    writer.complete()
    by_task: dict[str, list[Trial]] = {}
    for trial in writer.book.in_order():
        by_task.setdefault(writer.book.task_of(trial).name, []).append(trial)
    (one, two, *_), (other, *_) = by_task.values()
    with pytest.raises(NotNow, match="same task"):
        writer.do(ANN, c.Prefer(trial=one.id, other=other.id, better="this"))
    with pytest.raises(NotNow, match="same task"):
        writer.do(ANN, c.Prefer(trial=one.id, other=one.id, better="this"))
    with pytest.raises(NotAllowed):
        writer.do(BOB, c.Prefer(trial=one.id, other=two.id, better="this"))
    writer.do(ANN, c.Prefer(trial=one.id, other=two.id, better="this"))
    with pytest.raises(NotNow, match="already"):
        writer.do(ANN, c.Prefer(trial=two.id, other=one.id, better="this"))


def test_emergency_unblinding_takes_two_people() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.RUNNING)
    confirm = c.ConfirmUnblinding(trial=trial.id)
    with pytest.raises(NotNow, match="nobody"):
        writer.do(EVE, confirm)
    writer.do(ADA, COMMANDS[c.ProposeUnblinding](writer, trial.id))
    with pytest.raises(NotAllowed, match="second person"):
        writer.do(ADA, confirm)
    with pytest.raises(NotNow, match="confirm"):
        writer.do(EVE, COMMANDS[c.ProposeUnblinding](writer, trial.id))
    writer.do(EVE, confirm)
    with pytest.raises(NotNow, match="already"):
        writer.do(Actor("ada", Role.ADMIN), confirm)
    unblinding = writer.book.unblindings[trial.id]
    assert (unblinding.proposed_by, unblinding.confirmed_by, unblinding.before_score) == ("ada", "eve", True)


def test_what_is_done_again_for_an_unblinded_trial_is_not_blind_either() -> None:
    for judged_before in (False, True):
        writer = Writer()
        void = writer.up_to(TrialState.VOID)
        writer.do(ADA, COMMANDS[c.ProposeUnblinding](writer, void.id))
        if judged_before:
            writer.complete()
        writer.do(EVE, c.ConfirmUnblinding(trial=void.id))
        assert writer.book.unblindings[void.id].before_score is not judged_before
    assert writer.book.causes[void.id] == "operator"


def test_a_campaign_is_opened_when_it_is_complete_and_nothing_moves_any_more() -> None:
    writer = Writer()
    with pytest.raises(NotNow, match="0 of 4"):
        writer.do(ADA, c.Opened())
    writer.complete()
    trial = writer.book.in_order()[0]
    writer.do(ADA, c.Opened())
    for kind in (c.Guess, c.Rate, c.Recorded, c.ProposeUnblinding):
        actor = ACTORS[next(iter(WHO[kind]))]
        with pytest.raises(NotNow, match="opened"):
            writer.do(actor, COMMANDS[kind](writer, trial.id))
    with pytest.raises(NotNow, match="opened"):
        writer.do(ADA, c.Opened())
    writer.do(ANN, c.Note(trial=trial.id, text="a note"))


END = c.EndedEarly(reason="the robot broke")


@pytest.mark.parametrize("state", TrialState, ids=lambda state: state.value)
def test_a_campaign_is_ended_early_while_no_robot_is_set_up(state: TrialState) -> None:
    writer = Writer()
    writer.up_to(state)
    if state in ON_A_ROBOT:
        with pytest.raises(NotNow, match=f"ann has trial .*{state.value}.*finish it first"):
            writer.do(ADA, END)
        assert writer.book.ended is None
        return
    for actor in (ANN, RAY, SERVER):
        with pytest.raises(NotAllowed, match="expected admin"):
            writer.do(actor, END)
    writer.do(ADA, END)
    assert writer.book.ended == Ended("the robot broke", "ada")
    assert writer.book.next_trial() is None
    planned = next(one for one in writer.book.in_order() if one.state is TrialState.PLANNED)
    with pytest.raises(NotNow, match="ada has ended the campaign early"):
        writer.do(BOB, c.Lease(trial=planned.id, robot="r2"))
    with pytest.raises(NotNow, match="ada has ended it already"):
        writer.do(EVE, END)
    writer.do(ADA, c.Opened())
    assert (writer.book.opened, writer.book.complete) == (True, False)


def test_a_failure_by_rule_is_counted_before_the_end() -> None:
    writer = Writer(policy_death="failure")
    trial = writer.up_to(TrialState.INTERRUPTED)
    with pytest.raises(NotNow, match="let the service count it"):
        writer.do(ADA, END)
    writer.do(SERVER, c.CountAsFailure(trial=trial.id))
    writer.do(ADA, END)


def test_a_complete_or_opened_campaign_has_nothing_to_end() -> None:
    writer = Writer()
    writer.complete()
    with pytest.raises(NotNow, match="nothing to end"):
        writer.do(ADA, END)
    writer.do(ADA, c.Opened())
    for command in (END, c.Looked(scored=4)):
        with pytest.raises(NotNow, match="was opened"):
            writer.do(ADA, command)


def test_a_look_is_by_an_admin_at_all_that_is_scored_and_changes_nothing() -> None:
    writer = Writer()
    writer.up_to(TrialState.SCORED)
    before = dict(writer.book.trials)
    writer.do(ADA, c.Looked(scored=1))
    assert writer.book.trials == before
    with pytest.raises(NotNow, match="expected all that are scored, 1"):
        writer.do(ADA, c.Looked(scored=0))
    for actor in (ANN, RAY, SERVER):
        with pytest.raises(NotAllowed, match="expected admin"):
            writer.do(actor, c.Looked(scored=1))


def test_no_look_where_the_plan_has_no_sequential_test() -> None:
    plan = SMALL.plan
    campaign = msgspec.structs.replace(plan.campaign, analysis=Analysis(sequential=False))
    writer = Writer()
    writer.book = Book.begin(msgspec.structs.replace(plan, campaign=campaign))
    with pytest.raises(NotNow, match="no sequential test"):
        writer.do(ADA, c.Looked(scored=0))


def test_events_come_one_after_the_other_and_keys_once() -> None:
    writer = Writer()
    trial = writer.up_to(TrialState.LEASED)
    entry = writer.entry(ANN, c.Arm(trial=trial.id), key="once")
    with pytest.raises(NotNow, match="next one"):
        writer.book.decide(Entry(**{**{name: getattr(entry, name) for name in entry.__struct_fields__}, "seq": 7}))
    writer.book.apply(entry)
    with pytest.raises(NotNow, match="used before"):
        writer.do(ANN, c.Start(trial=trial.id), key="once")


def test_a_receipt_is_for_the_same_command_of_the_same_person() -> None:
    writer = Writer()
    trial = writer.book.in_order()[0]
    lease = c.Lease(trial=trial.id, robot="r1")
    assert writer.book.receipt(ANN, lease, "key") is None
    writer.do(ANN, lease, key="key")
    receipt = writer.book.receipt(ANN, lease, "key")
    assert receipt is not None
    assert receipt.trial == writer.book.trials[trial.id]
    for actor, command in ((BOB, lease), (ANN, c.Lease(trial=trial.id, robot="r2")), (Actor("ann", None), lease)):
        with pytest.raises(NotNow, match="another command"):
            writer.book.receipt(actor, command, "key")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_people_do_every_slot_has_one_trial_that_counts(data: st.DataObject) -> None:
    """Random commands by random people, most of them out of place, against what must always hold."""
    writer = Writer()
    people = (*ACTORS.values(), BOB, EVE)
    kinds = st.sampled_from(sorted(COMMANDS, key=lambda kind: kind.__name__))
    for _ in range(data.draw(st.integers(0, 40))):
        trial = data.draw(st.sampled_from([trial.id for trial in writer.book.in_order()][:3]))
        first = writer.book.next_trial()
        kind = data.draw(kinds)
        if kind is c.Lease and first is not None:
            trial = first.id
        before = dict(writer.book.trials)
        try:
            writer.do(data.draw(st.sampled_from(people)), COMMANDS[kind](writer, trial))
        except EvaluationError:
            assert writer.book.trials == before
        _check(writer.book, before)


def _check(book: Book, before: dict[str, Trial]) -> None:
    trials = book.in_order()
    assert [trial.position for trial in trials] == sorted({trial.position for trial in trials})
    for _, slot in itertools.groupby(
        sorted(trials, key=lambda trial: (trial.slot, trial.attempt)), lambda one: one.slot
    ):
        *void, last = slot
        assert all(trial.state is TrialState.VOID for trial in void)
        assert last.state is not TrialState.VOID
    for trial in before.values():
        if trial.state in {TrialState.SCORED, TrialState.VOID}:
            assert book.trials[trial.id] == trial
        assert book.trials[trial.id].position == trial.position
    held = [trial for trial in trials if trial.operator and trial.state not in {TrialState.SCORED, TrialState.VOID}]
    assert len({trial.operator for trial in held}) == len(held)
    assert {trial.id for trial in held} == {trial.id for trial in book.held}
    planned = [trial for trial in trials if trial.state is TrialState.PLANNED]
    assert book.next_trial() == (planned[0] if planned else None)
    assert all((trial.score is not None) is (trial.state is TrialState.SCORED) for trial in trials)
    assert len(book.judged) == sum(trial.state is TrialState.SCORED for trial in trials)
