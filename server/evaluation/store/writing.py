"""Writing what an event changes: everything in the transaction of its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from unichunk.server.evaluation.errors import StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger.book import digest
from unichunk.server.evaluation.store import tables
from unichunk.server.evaluation.store.chain import Event, Head
from unichunk.server.evaluation.store.rows import rating_row, request_row, score_row, trial_row

if TYPE_CHECKING:
    from unichunk.server.evaluation.ledger.changes import Changes


def newest(connection: Connection) -> Event | None:
    """The last event of the log; None before the first."""
    row = connection.execute(select(tables.EVENTS).order_by(tables.EVENTS.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else Event(*row)


def write(connection: Connection, previous: Head, event: Event, changes: Changes) -> None:
    """Append an event and bring all tables to where it leads.

    Args:
        connection: In a transaction that nobody else can write in.
        previous: The head that `changes` were decided at.
        event: The next one.
        changes: What it changes.

    Raises:
        StoreUnavailable: Where the log is not at `previous`: somebody else writes.
        Tampered: Where a trial's row is not what it should be.
    """
    last = newest(connection)
    at = Head(0, previous.hash) if last is None else last.head
    if at != previous:
        raise StoreUnavailable(
            f"the log is at event {at.seq}, this service at {previous.seq}: another one writes to the same database"
        )
    row = {
        "seq": event.seq,
        "body": event.body,
        "previous": event.previous,
        "hash": event.hash,
        "signature": event.signature,
    }
    connection.execute(insert(tables.EVENTS), row)
    _write_trial(connection, changes)
    if changes.added is not None:
        connection.execute(insert(tables.TRIALS), trial_row(changes.added))
    if changes.scored and changes.after is not None and changes.after.score is not None:
        connection.execute(insert(tables.SCORES), score_row(changes.after.id, changes.after.score, event.seq))
    if changes.rating is not None:
        connection.execute(insert(tables.SECOND_SCORES), rating_row(changes.rating))
    entry = changes.entry
    connection.execute(insert(tables.REQUESTS), request_row(entry.key, digest(entry.by, entry.command), event.seq))


def _write_trial(connection: Connection, changes: Changes) -> None:
    before, after = changes.before, changes.after
    if before is None or after is None or before is after:
        return
    trials = tables.TRIALS
    values = trial_row(after)
    statement = update(trials).where(trials.c.id == before.id, trials.c.version == before.version)
    if connection.execute(statement.values(values)).rowcount != 1:
        raise Tampered(f"trial {before.id}: its row is not at version {before.version}: it was changed by another hand")
