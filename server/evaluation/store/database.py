"""The connection to a campaign's database: SQLite in its folder, or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from unichunk.server.evaluation.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

FILE: Final = "evaluation.db"
WAIT_S: Final = 5
"""How long to wait for somebody else's lock, and for a server to answer, [s]."""

STATEMENT_S: Final = 20
"""How long a statement may take, [s]."""

_POSTGRESQL: Final = "postgresql"
_SCHEMES: Final = {"postgres": _POSTGRESQL, _POSTGRESQL: _POSTGRESQL, "postgresql+psycopg": _POSTGRESQL}


class Database:
    """One connection, made when it is needed and dropped after any error; not for several threads at once.

    Args:
        url: Where the database is.
        name: Opaque id of the campaign, for the lock that keeps a second writer out; empty: only to read.
    """

    def __init__(self, url: URL, name: str = "") -> None:
        self.url = url
        self._writes = bool(name)
        self._file = None if url.database is None or url.get_backend_name() != "sqlite" else Path(url.database)
        self._lock_number = zlib.crc32(f"unichunk evaluation {name}".encode())
        self._connection: Connection | None = None
        self._engine = _engine(url, writes=self._writes)

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL, not SQLite."""
        return self._engine.dialect.name == _POSTGRESQL

    @property
    def is_there(self) -> bool:
        """Whether there is a file, if it is SQLite: opening one that is not there makes it."""
        return self._file is None or self._file.exists()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: all of it is kept, or nothing.

        Raises:
            SQLAlchemyError: Where it was not kept, or where nobody knows: the connection is dropped.
        """
        try:
            connection = self._connected()
            with connection.begin():
                yield connection
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Forget the connection: the next transaction makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()
            with contextlib.suppress(SQLAlchemyError):
                connection.close()

    def close(self) -> None:
        """Let go of the database."""
        self.drop()
        self._engine.dispose()

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            try:
                if self.is_postgresql and self._writes:
                    self._keep_others_out(connection)
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _keep_others_out(self, connection: Connection) -> None:
        # For as long as the session lives. After a lost connection the wait also makes sure that the server has done
        # with the session before: what became of its last transaction is decided then.
        try:
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": self._lock_number})
        except OperationalError as error:
            if "lock timeout" not in str(error.orig):
                raise
            raise StoreUnavailable("database: another service runs this campaign: end it first") from None
        connection.commit()


def database_url(folder: Path, url: str | None) -> URL:
    """Where a campaign's database is.

    Args:
        folder: Of the campaign.
        url: `postgresql://user@host/name`; None: SQLite in the folder.

    Raises:
        StoreUnavailable: For another kind of address.
    """
    if url is None:
        return make_url("sqlite+pysqlite://").set(database=str(folder / FILE))
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in _SCHEMES:
        raise StoreUnavailable("database: expected postgresql://USER@HOST/NAME, or none for SQLite in the folder")
    return parsed.set(drivername="postgresql+psycopg")


def is_damage(error: SQLAlchemyError) -> bool:
    """Whether an error says that the database is not what it was, not that it cannot be reached."""
    words = str(getattr(error, "orig", error))
    if isinstance(error, ProgrammingError):
        return "does not exist" in words
    return any(word in words for word in ("malformed", "not a database", "no such table", "no such column"))


def _engine(url: URL, *, writes: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, writes=writes)
    try:
        # A dead server is noticed, not waited for.
        waits = {"connect_timeout": WAIT_S, "tcp_user_timeout": WAIT_S * 1000, "keepalives_idle": WAIT_S}
        engine = create_engine(url, poolclass=NullPool, connect_args=waits)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise StoreUnavailable("database: PostgreSQL needs `pip install 'unichunk[postgres]'`") from None

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            # Whatever the cluster's defaults are: an answer means that it is on the disk.
            cursor.execute("SET synchronous_commit = on")
            cursor.execute(f"SET lock_timeout = '{WAIT_S}s'")
            cursor.execute(f"SET statement_timeout = '{STATEMENT_S}s'")
            cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.commit()

    return engine


def _readable(url: URL) -> URL:
    """For folders that may only be read: SQLite would make files beside the database even to read it."""
    path = Path(url.database or "")
    if os.access(path.parent, os.W_OK):
        return url
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreUnavailable(f"{path}: its folder cannot be written and its log was not merged: check a copy of it")
    return url.set(database=f"file:{quote(str(path))}", query={"uri": "true", "immutable": "1"})


def _sqlite(url: URL, *, writes: bool) -> Engine:
    arguments = {"check_same_thread": False, "timeout": WAIT_S, "isolation_level": None}
    if not writes:
        url = _readable(url)
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            if writes:
                cursor.execute("PRAGMA journal_mode = WAL")
            else:
                cursor.execute("PRAGMA query_only = ON")
            # FULL: also WAL's own file is synchronized at every commit, so that power may fail right after an answer.
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # At once, not at the first write: nobody else can get in between reading the head and writing the next event.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
