"""The store against a simple model: whatever is asked, repeated, refused or cut off, the records are the model's."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.evaluation.small_campaign import ADA, ANN, BOB, Small, small, write_folder
from tests.evaluation.store_bench import Campaigns
from unichunk.benchmarks.evaluated.lively_hands import next_move
from unichunk.server.evaluation.errors import EvaluationError, NotNow, StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER, Actor
from unichunk.server.evaluation.store import evaluation_store
from unichunk.server.evaluation.store.clocks import Instant
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.ledger.trial import Trial


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory: pytest.TempPathFactory) -> Campaigns:
    return Campaigns(tmp_path_factory.mktemp("campaigns"))


@pytest.fixture
def store(campaigns: Campaigns, tmp_path: Path) -> Iterator[EvaluationStore]:
    with campaigns.opened("fresh", tmp_path / "campaign") as opened:
        yield opened


class StoreMachine(RuleBasedStateMachine):
    """People ask, processes crash; the model is a list of what was answered."""

    campaigns: Campaigns

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "campaign"
        self.campaign = self.campaigns.copy("fresh", self.folder)
        self.store = EvaluationStore.open(self.folder, self.campaign.secrets)
        self.recorded: list[tuple[Actor, Command, str]] = []
        self.afterwards: list[Trial | None] = []
        self.unanswered: tuple[Actor, Command, str] | None = None

    @rule()
    def ask(self) -> None:
        move = next_move(self.store.book, self.rng)
        if move is not None:
            self._record((*move, f"key-{len(self.recorded)}-{self.rng.random()}"))

    @rule(cut=st.sampled_from(["before the commit", "after the commit", "before head.json"]))
    def crash(self, cut: str) -> None:
        move = next_move(self.store.book, self.rng)
        if move is None or self.unanswered is not None:
            return
        self.unanswered = (*move, f"key-{len(self.recorded)}-{self.rng.random()}")
        with pytest.MonkeyPatch.context() as patch:
            _crash_at(patch, cut)
            with pytest.raises(Crash):
                self.store.apply(*self.unanswered)
        self._open_again()
        assert (self.unanswered[2] in self.store.book.receipts) is (cut != "before the commit")

    @precondition(lambda self: self.unanswered is not None)
    @rule()
    def ask_again_after_a_crash(self) -> None:
        unanswered, self.unanswered = self.unanswered, None
        assert unanswered is not None
        if unanswered[2] in self.store.book.receipts:
            assert self.store.apply(*unanswered).repeated
        else:
            with contextlib.suppress(EvaluationError):
                # Others may have gone on meanwhile.
                self._record(unanswered)

    @precondition(lambda self: self.recorded)
    @rule()
    def ask_the_same_again(self) -> None:
        number = self.rng.randrange(len(self.recorded))
        applied = self.store.apply(*self.recorded[number])
        assert (applied.repeated, applied.seq) == (True, number + 1)
        assert applied.trial == self.afterwards[number]

    @precondition(lambda self: self.recorded)
    @rule()
    def use_a_key_for_something_else(self) -> None:
        actor, command, key = self.rng.choice(self.recorded)
        with pytest.raises(NotNow, match="another command"):
            self.store.apply(Actor(actor.name + "x", actor.role), command, key)

    @rule()
    def end_and_begin_again(self) -> None:
        self.store.close()
        self._open_again()

    @invariant()
    def the_log_is_the_model(self) -> None:
        known = [(event.entry.by, event.entry.command, event.entry.key) for event in self.store.events()]
        self._take_over(known)
        assert known == self.recorded
        assert self.store.head().seq == len(known)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            verify(self.folder)
            shutil.rmtree(self.root)

    def _record(self, asked: tuple[Actor, Command, str]) -> None:
        applied = self.store.apply(*asked)
        assert not applied.repeated
        self.recorded.append(asked)
        self.afterwards.append(applied.trial)
        assert applied.seq == len(self.recorded)

    def _take_over(self, known: list[tuple[Actor, Command, str]]) -> None:
        """A command whose answer was lost in a crash may be recorded: as the last one, once."""
        if self.unanswered is not None and known[len(self.recorded) :] == [self.unanswered]:
            self.recorded.append(self.unanswered)
            self.afterwards.append(self.store.book.receipts[self.unanswered[2]].trial)

    def _open_again(self) -> None:
        self.store.close()
        self.store = EvaluationStore.open(self.folder, self.campaign.secrets)


def _crash_at(patch: pytest.MonkeyPatch, cut: str) -> None:
    write = evaluation_store.write

    def crash(*arguments: Any, **options: Any) -> None:
        if cut == "before the commit":
            write(*arguments, **options)
        raise Crash

    if cut == "before the commit":
        patch.setattr(evaluation_store, "write", crash)
    elif cut == "after the commit":
        patch.setattr(EvaluationStore, "_accept", crash)
    else:
        patch.setattr(evaluation_store, "write_head", crash)


def test_the_store_is_its_model(campaigns: Campaigns) -> None:
    StoreMachine.campaigns = campaigns
    machine = StoreMachine.TestCase
    machine.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
    machine("runTest").runTest()


def test_a_command_is_recorded_once_whoever_asks_at_the_same_time(store: EvaluationStore) -> None:
    first = store.next_trial()
    assert first is not None
    lease = c.Lease(trial=first.id, robot="r1")
    answers = []

    def ask() -> None:
        answers.append(store.apply(ANN, lease, "once"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.repeated for answer in answers) == [False] + [True] * 7
    assert {answer.seq for answer in answers} == {1}


def test_two_operators_ask_for_one_trial_at_the_same_time(store: EvaluationStore) -> None:
    first = store.next_trial()
    assert first is not None
    taken, refused = [], []

    def ask(actor: Actor) -> None:
        try:
            taken.append(store.apply(actor, c.Lease(trial=first.id, robot=actor.name), actor.name))
        except NotNow as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(actor,)) for actor in (ANN, BOB)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 1)
    assert store.trials()[0].operator == taken[0].trial.operator


@pytest.mark.parametrize(
    ("actor", "command", "key"),
    [
        (SERVER, c.ClockJumped(by_s=float("nan")), "key"),
        (SERVER, c.ClockJumped(by_s=float("inf")), "key"),
        (SERVER, c.ClockJumped(by_s=1.0), "two words"),
        (SERVER, c.ClockJumped(by_s=1.0), ""),
        (SERVER, c.ClockJumped(by_s=1.0), "k" * 129),
        (Actor("", None), c.ClockJumped(by_s=1.0), "key"),
        (Actor("a\0b", None), c.ClockJumped(by_s=1.0), "key"),
        (Actor("a\ud800b", None), c.ClockJumped(by_s=1.0), "key"),
    ],
)
def test_what_cannot_be_written_down_is_refused(
    store: EvaluationStore, actor: Actor, command: Command, key: str
) -> None:
    before = store.head()
    with pytest.raises(NotNow, match="malformed"):
        store.apply(actor, command, key)
    assert store.head() == before
    assert store.apply(SERVER, c.ClockJumped(by_s=1.0), "key").seq == 1


def test_times_come_from_the_clock(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign = campaigns.copy("fresh", tmp_path / "campaign")
    moment = Instant(12, "boot", 7)
    with contextlib.closing(
        EvaluationStore.open(tmp_path / "campaign", campaign.secrets, clock=lambda: moment)
    ) as store:
        store.apply(SERVER, c.ClockJumped(by_s=1.0), "key")
        entry = store.events()[0].entry
    assert (entry.at_ns, entry.boot, entry.mono_ns) == (12, "boot", 7)


def test_events_come_in_pages(campaigns: Campaigns, tmp_path: Path) -> None:
    with campaigns.opened("halfway", tmp_path / "campaign") as store:
        everything = store.events()
        assert [event.seq for event in everything] == list(range(1, store.head().seq + 1))
        assert store.events(3, 2) == everything[3:5]
        assert store.events(store.head().seq) == []
        assert everything[-1].head == store.head()


def test_a_store_to_be_read_takes_nothing(campaigns: Campaigns, tmp_path: Path) -> None:
    campaigns.copy("halfway", tmp_path / "campaign")
    before = (tmp_path / "campaign" / "head.json").read_bytes()
    with contextlib.closing(EvaluationStore.open(tmp_path / "campaign")) as store:
        assert store.trials()
        with pytest.raises(StoreUnavailable, match="to be read"):
            store.apply(SERVER, c.ClockJumped(by_s=1.0), "key")
    assert (tmp_path / "campaign" / "head.json").read_bytes() == before


def test_a_second_service_is_refused_and_readers_are_not(store: EvaluationStore) -> None:
    secrets = small().secrets
    with pytest.raises(StoreUnavailable, match="another process"):
        EvaluationStore.open(store.folder, secrets)
    with contextlib.closing(EvaluationStore.open(store.folder)) as reader:
        assert reader.head() == store.head()
    store.close()
    EvaluationStore.open(store.folder, secrets).close()


def test_a_second_writer_beside_the_lock_cannot_get_in_between(
    store: EvaluationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines on one network folder: the head is compared inside the transaction."""
    monkeypatch.setattr(evaluation_store, "Alone", lambda folder: contextlib.nullcontext())
    other = EvaluationStore(store.folder, store.plan, small().secrets, store._clock)
    other._begin()
    store.apply(SERVER, c.ClockJumped(by_s=1.0), "first")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="another one writes"):
            other.apply(SERVER, c.ClockJumped(by_s=2.0), "second")
    other._database.close()
    assert [event.entry.key for event in store.events()] == ["first"]
    store.apply(SERVER, c.ClockJumped(by_s=3.0), "third")
    verify(store.folder)


def test_another_campaigns_secrets_are_refused(campaigns: Campaigns, tmp_path: Path) -> None:
    campaigns.copy("fresh", tmp_path / "campaign")
    with pytest.raises(Tampered, match="another campaign"):
        EvaluationStore.open(tmp_path / "campaign", small(number=1).secrets)


def test_a_database_holds_one_campaign(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign: Small = campaigns.copy("fresh", tmp_path / "campaign")
    with pytest.raises(StoreUnavailable, match="already"):
        EvaluationStore.create(tmp_path / "campaign", campaign.plan, campaign.secrets)


def test_it_is_made_in_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = small()
    folder = write_folder(campaign, tmp_path / "campaign")

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(evaluation_store, "campaign_row", crash)
        with pytest.raises(Crash):
            EvaluationStore.create(folder, campaign.plan, campaign.secrets)
    EvaluationStore.create(folder, campaign.plan, campaign.secrets).close()
    verify(folder)


def test_a_head_behind_the_log_is_brought_up_to_date(campaigns: Campaigns, tmp_path: Path) -> None:
    """A crash between the commit and `head.json` is nobody's fault."""
    folder = tmp_path / "campaign"
    campaign = campaigns.copy("halfway", folder)
    old = (folder / "head.json").read_bytes()
    with contextlib.closing(EvaluationStore.open(folder, campaign.secrets)) as store:
        store.apply(SERVER, c.ClockJumped(by_s=1.0), "key")
    new = (folder / "head.json").read_bytes()
    (folder / "head.json").write_bytes(old)
    assert verify(folder).head.seq == store.head().seq
    EvaluationStore.open(folder, campaign.secrets).close()
    assert (folder / "head.json").read_bytes() == new != old


def test_opening_needs_everything_scored(store: EvaluationStore) -> None:
    with pytest.raises(NotNow, match="0 of 4"):
        store.apply(ADA, c.Opened(), "open")
