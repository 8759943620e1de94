"""The same store in PostgreSQL."""

from __future__ import annotations

import contextlib
import random
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.evaluation.small_campaign import ADA, Small, small, write_folder
from unichunk.benchmarks.evaluated.crashes import (
    Campaigns,
    CrashRow,
    cut_connections,
    kill_at_any_moment,
    kill_at_steps,
    kill_the_server,
)
from unichunk.benchmarks.evaluated.lively_hands import next_move
from unichunk.benchmarks.evaluated.postgres_server import PostgresServer, PostgresUnavailable
from unichunk.server.evaluation.errors import StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger.actor import SERVER
from unichunk.server.evaluation.ledger.commands import ClockJumped, Opened
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.store import database as database_module
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.migrations.first_guards import GUARDS
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    # Forked children only open their own campaign and end without ever returning into this process's code.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """Skips where there is none."""
    try:
        running = PostgresServer()
    except PostgresUnavailable as error:
        pytest.skip(str(error))
    yield running
    running.stop()


HARM = {
    "campaign": "commitment = repeat('0', 64)",
    "slots": "sealed_policy = sealed_policy || '00'",
    "trials": "duration_s = duration_s + 1",
    "scores": "success = 1 - success",
    "second_scores": "note = note || '.'",
    "events": "body = body || ' '",
    "requests": "digest = repeat('0', 64)",
}


def lived(server: PostgresServer, folder: Path) -> tuple[Small, str]:
    """A complete campaign in a database of its own, by name."""
    campaign, name = small(), server.make_database()
    write_folder(campaign, folder)
    rng = random.Random(2)
    with contextlib.closing(EvaluationStore.create(folder, campaign.plan, campaign.secrets, server.url(name))) as store:
        while move := next_move(store.book, rng):
            store.apply(*move, f"key-{store.head().seq}")
        store.apply(ADA, Opened(), "open")
    (folder / "unblinded.json").write_bytes(canonical_json(campaign.opening) + b"\n")
    return campaign, name


def test_a_whole_campaign_and_what_is_done_to_it(postgres: PostgresServer, tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    campaign, name = lived(postgres, folder)
    assert not (folder / "evaluation.db").exists()
    assert (folder / "private" / "database.json").stat().st_mode & 0o077 == 0
    assert verify(folder).commitment_opened
    with contextlib.closing(EvaluationStore.open(folder, campaign.secrets)) as store:
        assert store.apply(ADA, Opened(), "open").repeated
    for table, change in HARM.items():
        where = f"ctid = (SELECT MIN(ctid::text)::tid FROM {table})"
        with pytest.raises(PostgresUnavailable, match=f"{table}: "):
            # Whoever forgets the triggers is refused by them.
            postgres.query(name, f"UPDATE {table} SET {change} WHERE {where}")
        with pytest.raises(PostgresUnavailable, match=f"{table}: "):
            postgres.query(name, f"TRUNCATE {table} CASCADE")
        keep = f"CREATE TABLE kept AS SELECT * FROM {table}"
        postgres.query(
            name, f"{keep}; SET session_replication_role = replica; UPDATE {table} SET {change} WHERE {where}"
        )
        with pytest.raises(Tampered):
            verify(folder)
        restore = f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept"
        postgres.query(name, f"SET session_replication_role = replica; {restore}")
    assert verify(folder).commitment_opened
    postgres.query(name, f"ALTER TABLE scores DISABLE TRIGGER {GUARDS[-6].name}")
    with pytest.raises(Tampered, match="guard_scores"):
        verify(folder)


def test_a_second_service_elsewhere_is_refused(
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two folders, two machines: the lock is the database's."""
    folder, other = tmp_path / "campaign", tmp_path / "other"
    campaign, name = small(), postgres.make_database()
    write_folder(campaign, folder)
    url = postgres.url(name)
    with contextlib.closing(EvaluationStore.create(folder, campaign.plan, campaign.secrets, url)) as store:
        shutil.copytree(folder, other)
        monkeypatch.setattr(database_module, "WAIT_S", 1)
        with pytest.raises(StoreUnavailable, match="another service runs"):
            EvaluationStore.open(other, campaign.secrets)
        with contextlib.closing(EvaluationStore.open(other)) as reader:
            assert reader.head() == store.head()
        store.apply(SERVER, ClockJumped(by_s=1.0), "key")
        postgres.kill()
        postgres.start()
        # Nobody has to know that the server was started anew in between.
        assert store.apply(SERVER, ClockJumped(by_s=1.0), "another").seq == 2
    with pytest.raises(StoreUnavailable, match="already"):
        EvaluationStore.create(folder, campaign.plan, campaign.secrets, url)


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "WAIT_S", 1)
    campaign = small()
    folder = write_folder(campaign, tmp_path / "campaign")
    url = f"postgresql://user:secret@/name?host={tmp_path}"
    with pytest.raises(StoreUnavailable) as found:
        EvaluationStore.create(folder, campaign.plan, campaign.secrets, url)
    assert "secret" not in str(found.value)
    assert "\n" not in str(found.value)


def kill_at_some_steps(campaigns: Campaigns, kills: int) -> CrashRow:
    return kill_at_steps(campaigns, kills, stride=61)


@pytest.mark.parametrize(
    ("series", "kills"),
    [(kill_at_some_steps, 14), (kill_at_any_moment, 10), (cut_connections, 10), (kill_the_server, 2)],
)
def test_with_postgresql(
    postgres: PostgresServer, tmp_path: Path, series: Callable[[Campaigns, int], CrashRow], kills: int
) -> None:
    row = series(Campaigns(tmp_path, postgres), kills)
    assert row.wrong == []
    assert row.commands > 0
    assert row.kills > 0
