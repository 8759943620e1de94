"""Whether the database still refuses what it was made to refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from unichunk.server.evaluation.errors import Tampered
from unichunk.server.evaluation.store import tables
from unichunk.server.evaluation.store.migrations.first_guards import GUARDS

if TYPE_CHECKING:
    from unichunk.server.evaluation.store.migrations.guards import Guard

_SQLITE: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_POSTGRESQL: Final = (
    "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal AND t.tgenabled = 'O' AND pg_table_is_visible(c.oid)"
)


def check_guards(connection: Connection) -> None:
    """Refuse a database whose triggers or unique indexes are not those that it was made with.

    Raises:
        Tampered: Which one is gone, was changed or was added.
    """
    dialect = connection.dialect.name
    found = {name: _words(sql) for name, sql in connection.execute(text(_query(dialect)))}
    expected = {name: sql for guard in GUARDS for name, sql in _expected(guard, dialect).items()}
    for name, sql in expected.items():
        if found.get(name) != sql:
            raise Tampered(f"database: guard {name} is gone or was changed: the tables were opened to changes")
    for name in found.keys() - expected.keys():
        raise Tampered(f"database: trigger {name} is not of this program")
    _check_indexes(connection, dialect)


def check_file(connection: Connection) -> None:
    """Refuse an SQLite file that is damaged.

    Raises:
        Tampered: With what SQLite says first.
    """
    found = connection.execute(text("PRAGMA integrity_check(1)")).scalar_one()
    if found != "ok":
        raise Tampered(f"database: {found}")


def _query(dialect: str) -> str:
    return _POSTGRESQL if dialect == "postgresql" else _SQLITE


def _expected(guard: Guard, dialect: str) -> dict[str, str]:
    if dialect != "postgresql":
        return {guard.name: _words(guard.statements(dialect)[0])}
    function, *triggers = guard.statements(dialect)
    source = _words(function.split("$$")[1])
    return {trigger.split()[2]: source for trigger in triggers}


def _check_indexes(connection: Connection, dialect: str) -> None:
    query = (
        "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
        if dialect == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'index'"
    )
    found = set(connection.execute(text(query)).scalars())
    for index in tables.TRIALS.indexes:
        if index.name not in found:
            raise Tampered(f"database: unique index {index.name} is gone: the tables were opened to changes")


def _words(sql: str) -> str:
    return " ".join(sql.split())
