"""The tables are those of the migrations, and old or new ones are told apart."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.evaluation.small_campaign import small
from tests.evaluation.store_bench import Campaigns
from unichunk.server.evaluation.errors import StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger.states import HELD, ON_A_ROBOT
from unichunk.server.evaluation.store import tables
from unichunk.server.evaluation.store.database import Database, database_url
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.schema import REVISION, migrations, revision, upgrade
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    database = Database(database_url(tmp_path, None), "test")
    with contextlib.closing(database), database.transaction() as connection:
        upgrade(connection)
        upgrade(connection)
        assert revision(connection) == REVISION
        assert compare_metadata(MigrationContext.configure(connection), tables.METADATA) == []


def test_the_newest_revision_is_the_one_that_is_expected() -> None:
    assert ScriptDirectory.from_config(migrations()).get_heads() == [REVISION]


def test_tables_of_a_newer_version(tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    campaign = Campaigns(tmp_path / "made").copy("fresh", folder)
    with contextlib.closing(sqlite3.connect(folder / "evaluation.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(StoreUnavailable, match="newer unichunk"):
        EvaluationStore.open(folder, campaign.secrets)
    with pytest.raises(Tampered, match="9999"):
        verify(folder)


def test_the_indexes_say_what_the_book_says() -> None:
    where = {index.name: str(index.dialect_options["sqlite"]["where"]) for index in tables.TRIALS.indexes}
    for name, states in (("one_trial_per_robot", ON_A_ROBOT), ("one_trial_per_operator", HELD)):
        assert {word.strip(" '") for word in where[name].partition("(")[2].rstrip(")").split(",")} == {
            state.value for state in states
        }


def test_the_database_is_set_up_for_power_failures(tmp_path: Path) -> None:
    database = Database(database_url(tmp_path, None), "test")
    with contextlib.closing(database), database.transaction() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_nobody_gets_in_between_reading_the_head_and_writing(tmp_path: Path) -> None:
    database = Database(database_url(tmp_path, None), "test")
    other = sqlite3.connect(tmp_path / "evaluation.db", timeout=0)
    with contextlib.closing(database), contextlib.closing(other), database.transaction():
        _cannot_begin(other)


def _cannot_begin(other: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")


def test_the_tables_say_what_the_trials_are(tmp_path: Path) -> None:
    """For whoever reads them with other programs: written down column by column, apart from the store's own code."""
    folder = tmp_path / "campaign"
    Campaigns(tmp_path / "made").copy("halfway", folder)
    with contextlib.closing(EvaluationStore.open(folder)) as store:
        trials, scores = {}, {}
        for one in store.trials():
            trials[one.id] = (one.slot, one.attempt, one.position, one.layout, one.state.value, one.operator)
            trials[one.id] += (one.robot, one.reason, one.started_at, one.ended_at, one.duration_s, one.version)
            if one.score is not None:
                rubric = "".join(str(int(answer)) for answer in one.score.rubric)
                scores[one.id] = (one.score.success, rubric, one.score.note, one.score.by)
    assert any(row[7] for row in trials.values())
    with contextlib.closing(sqlite3.connect(folder / "evaluation.db")) as database:
        columns = "slot, attempt, position, layout, state, operator, robot, reason, started_at, ended_at, duration_s"
        found = database.execute(f"SELECT id, {columns}, version FROM trials").fetchall()
        assert {row[0]: row[1:] for row in found} == trials
        found = database.execute("SELECT trial, success, rubric, note, judge FROM scores").fetchall()
        assert {row[0]: row[1:] for row in found} == scores


def test_a_folder_whose_name_has_odd_characters(tmp_path: Path) -> None:
    campaign = small()
    folder = tmp_path / "50% of ?a=b&c #1 ünï"
    folder.mkdir()
    EvaluationStore.create(folder, campaign.plan, campaign.secrets).close()
    assert (folder / "evaluation.db").exists()
    assert not (folder / "evaluation.db-wal").exists()
