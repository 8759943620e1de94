"""Reading a whole database: the log is checked and folded, and every row has to be what it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, select

from unichunk.server.evaluation.errors import EvaluationError, Tampered
from unichunk.server.evaluation.ledger.book import Book
from unichunk.server.evaluation.ledger.commands import Void
from unichunk.server.evaluation.store import tables
from unichunk.server.evaluation.store.chain import Event, Head, Verifier, beginning
from unichunk.server.evaluation.store.rows import Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.server.evaluation.planning.plan import Plan
    from unichunk.server.evaluation.store.redo_rule import RedoRule


@dataclass(frozen=True)
class Reading:
    """What was read, and found in order.

    Attributes:
        book: The fold of the log.
        heads: After every event, the empty log's first: `heads[seq]`.
    """

    book: Book
    heads: tuple[Head, ...]

    @property
    def head(self) -> Head:
        """The end of the log."""
        return self.heads[-1]


def read(connection: Connection, plan: Plan, redo: RedoRule | None = None) -> Reading:
    """Read and check everything.

    Args:
        connection: In a transaction, so that all tables are of the same moment.
        plan: What the database has to be of.
        redo: Where a trial (its id) is done again when it is voided, for those who have the keys.

    Raises:
        Tampered: With the first thing that does not fit.
    """
    events = [Event(*row) for row in connection.execute(select(tables.EVENTS).order_by(tables.EVENTS.c.seq))]
    reading = fold(plan, events, redo)
    scored_at: dict[str, int] = {}
    for receipt in reading.book.receipts.values():
        trial = receipt.trial
        if trial is not None and trial.score is not None:
            scored_at.setdefault(trial.id, receipt.seq)
    for name, expected in rows_of(reading.book, scored_at).items():
        _compare(connection, tables.METADATA.tables[name], expected)
    return reading


def fold(plan: Plan, events: Iterable[Event], redo: RedoRule | None = None) -> Reading:
    """Check the chain of a log, and follow it.

    Raises:
        Tampered: With the first event that is not bound to the one before, was not signed, or could not happen.
    """
    verifier = Verifier(plan)
    book = Book.begin(plan)
    heads = [beginning(plan)]
    for event in events:
        verifier.check(heads[-1], event)
        entry = event.entry
        command = entry.command
        try:
            expected = redo(book, command.trial) if redo and isinstance(command, Void) else entry.redo
            book.apply(entry)
        except Tampered:
            raise
        except EvaluationError as error:
            raise Tampered(f"event {event.seq}: could not have happened: {error}") from None
        if expected != entry.redo:
            raise Tampered(f"event {event.seq}: {entry.redo} was not drawn with the campaign's keys")
        heads.append(event.head)
    return Reading(book, tuple(heads))


def _compare(connection: Connection, table: Table, expected: Iterable[Row]) -> None:
    keys = [column.name for column in table.primary_key]

    def key_of(row: Row) -> tuple[Any, ...]:
        return tuple(row[key] for key in keys)

    found = {key_of(row): row for row in (dict(row._mapping) for row in connection.execute(select(table)))}  # noqa: SLF001
    for row in expected:
        key = key_of(row)
        name = f"{table.name}[{', '.join(map(str, key))}]"
        actual = found.pop(key, None)
        if actual is None:
            raise Tampered(f"{name}: the log leads to this row, the table does not have it: it was removed or moved")
        for column, value in row.items():
            if actual[column] != value:
                raise Tampered(f"{name}.{column}: is {actual[column]!r}, by the log {value!r}: it was changed")
    for key in found:
        raise Tampered(f"{table.name}[{', '.join(map(str, key))}]: no event led to this row: it was added or moved")
