"""What the store does when the disk is full, the database is gone, or an answer is lost."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import resource
import shutil
import signal
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from tests.evaluation.small_campaign import ANN
from tests.evaluation.store_bench import Campaigns
from unichunk.benchmarks.evaluated.lively_hands import next_move
from unichunk.server.evaluation.errors import StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER
from unichunk.server.evaluation.store import evaluation_store, head_file
from unichunk.server.evaluation.store.database import database_url
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.head_file import read_head
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unichunk.server.evaluation.ledger.book import Book

JUMP = c.ClockJumped(by_s=1.0)


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory: pytest.TempPathFactory) -> Campaigns:
    return Campaigns(tmp_path_factory.mktemp("campaigns"))


@pytest.fixture
def store(campaigns: Campaigns, tmp_path: Path) -> Iterator[EvaluationStore]:
    with campaigns.opened("fresh", tmp_path / "campaign") as opened:
        yield opened


def rows(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database, as another process sees it."""
    with contextlib.closing(sqlite3.connect(folder / "evaluation.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names}


def state(book: Book) -> tuple[Any, ...]:
    return book.seq, book.in_order(), dict(book.receipts), list(book.judged)


@contextlib.contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process may grow beyond `room` bytes: writes fail as on a full disk (EFBIG, not ENOSPC)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_records_nothing_by_halves(store: EvaluationStore) -> None:
    """At every size at which it can become full: while pages, the end of the log or `head.json` are written."""
    rng = random.Random(1)
    for _ in range(6):
        move = next_move(store.book, rng)
        assert move is not None
        store.apply(*move, f"key-{store.head().seq}")
    wal = store.folder / "evaluation.db-wal"
    refused = 0
    for extra in (0, 1, 24, 4096, 4120, 9000, 13000):
        move = next_move(store.book, rng)
        assert move is not None
        key = f"full-{extra}-{store.head().seq}"
        before, known = rows(store.folder), state(store.book)
        with full_disk(wal.stat().st_size + extra):
            try:
                store.apply(*move, key)
            except StoreUnavailable:
                refused += 1
                assert rows(store.folder) == before
                assert state(store.book) == known
        # There is room again: the same key, once.
        seq = store.apply(*move, key).seq
        assert seq == known[0] + 1 == store.head().seq
    assert refused >= 4
    store.close()
    verify(store.folder)


def test_sqlite_without_room_for_pages(store: EvaluationStore) -> None:
    """`SQLITE_FULL`, as a full file system gives it, until there is room."""
    pages: list[int] = []

    def limit(connection: Any, _record: object) -> None:
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    sqlalchemy_event.listen(Engine, "connect", limit)
    try:
        with contextlib.closing(sqlite3.connect(store.folder / "evaluation.db")) as database:
            (count,) = database.execute("PRAGMA page_count").fetchone()
        pages.append(count)
        store._database.drop()
        keys = itertools.count()

        def fill() -> None:
            while True:
                store.apply(SERVER, JUMP, f"jump-{next(keys)}")

        with pytest.raises(StoreUnavailable, match=r"full.*nothing was recorded"):
            fill()
        done = next(keys) - 1
        assert store.head().seq == done == len(rows(store.folder)["events"])
        pages.clear()
        store._database.drop()
        assert store.apply(SERVER, JUMP, f"jump-{done}").seq == done + 1
    finally:
        sqlalchemy_event.remove(Engine, "connect", limit)
    store.close()
    verify(store.folder)


def test_without_room_for_the_head_the_record_counts(store: EvaluationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(head_file.os, "fsync", full)
        assert store.apply(SERVER, JUMP, "one").seq == 1
        assert read_head(store.folder).seq == 0
        assert not list(store.folder.glob(".head*"))
    assert store.apply(SERVER, JUMP, "two").seq == 2
    assert read_head(store.folder).head == store.head()


@pytest.mark.parametrize("recorded", [True, False], ids=["it was", "it was not"])
def test_a_commit_that_nobody_answers_for(
    store: EvaluationStore, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    """Whether it is recorded is looked up, not guessed."""
    real = evaluation_store.Database.transaction
    lost = [True]

    @contextlib.contextmanager
    def transaction(database: evaluation_store.Database) -> Iterator[Any]:
        with real(database) as connection:
            yield connection
            if lost and not recorded:
                lost.clear()
                raise OperationalError("COMMIT", {}, Exception("connection lost"))
        if lost:
            lost.clear()
            raise OperationalError("COMMIT", {}, Exception("connection lost"))

    monkeypatch.setattr(evaluation_store.Database, "transaction", transaction)
    if recorded:
        assert not store.apply(SERVER, JUMP, "key").repeated
    else:
        with pytest.raises(StoreUnavailable, match=r"connection lost: nothing was recorded"):
            store.apply(SERVER, JUMP, "key")
    again = store.apply(SERVER, JUMP, "key")
    assert (again.repeated, again.seq) == (recorded, 1)
    assert len(store.events()) == 1


@pytest.mark.parametrize("recorded", [True, False], ids=["it was", "it was not"])
def test_and_while_the_database_is_away_it_stays_open(
    store: EvaluationStore, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    real = evaluation_store.Database.transaction
    away = [True]

    @contextlib.contextmanager
    def transaction(database: evaluation_store.Database) -> Iterator[Any]:
        if len(away) > 1:
            raise OperationalError("BEGIN", {}, Exception("no connection"))
        with real(database) as connection:
            yield connection
            if away and not recorded:
                away.append(True)
                raise OperationalError("COMMIT", {}, Exception("connection lost"))
        if away:
            away.append(True)
            raise OperationalError("COMMIT", {}, Exception("connection lost"))

    monkeypatch.setattr(evaluation_store.Database, "transaction", transaction)
    for key in ("key", "key", "another"):
        with pytest.raises(StoreUnavailable, match="again with the same key"):
            store.apply(SERVER, JUMP, key)
    assert store.head().seq == 0
    away.clear()
    assert store.apply(SERVER, JUMP, "another").seq == 1 + recorded
    assert store.apply(SERVER, JUMP, "key").repeated is recorded
    assert [event.entry.key for event in store.events()] == (["key", "another"] if recorded else ["another", "key"])


def test_something_that_breaks_right_after_the_commit(store: EvaluationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(EvaluationStore, "_accept", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.apply(SERVER, JUMP, "key")
    assert store.apply(SERVER, JUMP, "key").repeated
    assert store.apply(SERVER, JUMP, "another").seq == 2


def test_a_row_that_another_hand_changed_stops_the_service(store: EvaluationStore) -> None:
    first = store.next_trial()
    assert first is not None
    with contextlib.closing(sqlite3.connect(store.folder / "evaluation.db")) as database:
        database.execute("UPDATE trials SET version = version + 1, operator = 'eve' WHERE id = ?", (first.id,))
        database.commit()
    with pytest.raises(Tampered, match="another hand"):
        store.apply(ANN, c.Lease(trial=first.id, robot="r1"), "key")
    assert store.events() == []


@pytest.mark.parametrize("name", ["evaluation.db", "head.json", "plan.json"])
def test_what_is_gone_is_said(campaigns: Campaigns, tmp_path: Path, name: str) -> None:
    campaign = campaigns.copy("fresh", tmp_path / "campaign")
    (tmp_path / "campaign" / name).unlink()
    with pytest.raises(Exception, match=r"gone|head\.json|plan\.json") as found:
        EvaluationStore.open(tmp_path / "campaign", campaign.secrets)
    assert "\n" not in str(found.value)
    assert (tmp_path / "campaign" / name).exists() is False


def test_a_file_that_is_no_database(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign = campaigns.copy("fresh", tmp_path / "campaign")
    (tmp_path / "campaign" / "evaluation.db").write_bytes(b"something else " * 1000)
    for secrets in (campaign.secrets, None):
        with pytest.raises((Tampered, StoreUnavailable), match="not a database"):
            EvaluationStore.open(tmp_path / "campaign", secrets)


def test_a_power_failure_that_tears_the_last_pages(campaigns: Campaigns, tmp_path: Path) -> None:
    """Whatever was not synchronized may be gone, whole or torn: the log then ends with an event that was complete."""
    folder = tmp_path / "campaign"
    campaign = campaigns.copy("fresh", folder)
    rng = random.Random(3)
    sizes, heads = [0], [b""]
    wal = folder / "evaluation.db-wal"
    with contextlib.closing(EvaluationStore.open(folder, campaign.secrets)) as store:
        heads[0] = (folder / "head.json").read_bytes()
        for number in range(10):
            move = next_move(store.book, rng)
            assert move is not None
            store.apply(*move, f"key-{number}")
            sizes.append(wal.stat().st_size)
            heads.append((folder / "head.json").read_bytes())
        shutil.copytree(folder, tmp_path / "as it was")
    for number in range(10):
        cut = rng.randrange(sizes[number], sizes[number + 1])
        torn = shutil.copytree(tmp_path / "as it was", tmp_path / "torn")
        os.truncate(torn / wal.name, cut)
        (torn / f"{wal.name[:-4]}-shm").unlink()
        # Its head was not written before its commit was.
        (torn / "head.json").write_bytes(heads[number])
        with contextlib.closing(EvaluationStore.open(torn, campaign.secrets)) as store:
            assert store.head().seq == number
        shutil.rmtree(torn)


@pytest.mark.parametrize("url", ["mysql://here/name", "sqlite:///other.db", "nonsense", "", "http://user:secret@h/"])
def test_other_databases_are_refused_without_naming_secrets(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreUnavailable, match="postgresql://USER@HOST/NAME") as found:
        database_url(tmp_path, url)
    assert "secret" not in str(found.value)


def test_postgresql_by_its_usual_names(tmp_path: Path) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = database_url(tmp_path, f"{scheme}://user@host/name")
        assert url.drivername == "postgresql+psycopg"


def test_a_folder_that_can_only_be_read(campaigns: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a folder #1?"
    campaign = campaigns.copy("complete", folder)
    before = sorted(folder.iterdir())
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert verify(folder).scored == 8
    assert sorted(folder.iterdir()) == before
    monkeypatch.undo()
    with contextlib.closing(EvaluationStore.open(folder, campaign.secrets)) as store:
        store.apply(SERVER, JUMP, "key")
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(StoreUnavailable, match="check a copy"):
            verify(folder)
