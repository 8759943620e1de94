"""A campaign that survives crashes: its book in memory is never ahead of its database."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from unichunk.server.evaluation.errors import EvaluationError, NotNow, StoreUnavailable, Tampered
from unichunk.server.evaluation.ledger.book import Book
from unichunk.server.evaluation.ledger.commands import Void
from unichunk.server.evaluation.ledger.entry import Entry
from unichunk.server.evaluation.planning.load import load_plan
from unichunk.server.evaluation.store import tables
from unichunk.server.evaluation.store.alone import Alone
from unichunk.server.evaluation.store.applied import Applied
from unichunk.server.evaluation.store.chain import Event, Head, Signer, Verifier, beginning, body_of
from unichunk.server.evaluation.store.clocks import Instant, now
from unichunk.server.evaluation.store.database import Database, database_url, is_damage
from unichunk.server.evaluation.store.guarded import check_file, check_guards
from unichunk.server.evaluation.store.head_file import SignedHead, read_head, write_head
from unichunk.server.evaluation.store.reading import read
from unichunk.server.evaluation.store.redo_rule import redo_rule
from unichunk.server.evaluation.store.rows import campaign_row, slot_row, trial_row
from unichunk.server.evaluation.store.schema import REVISION, revision, upgrade
from unichunk.server.evaluation.store.url_file import read_url, write_url
from unichunk.server.evaluation.store.writing import newest, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from unichunk.server.evaluation.ledger.actor import Actor
    from unichunk.server.evaluation.ledger.changes import Changes
    from unichunk.server.evaluation.ledger.commands import Command
    from unichunk.server.evaluation.ledger.records import Receipt
    from unichunk.server.evaluation.ledger.trial import Trial
    from unichunk.server.evaluation.planning.plan import Plan
    from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets

T = TypeVar("T")


class EvaluationStore:
    """The trials of one campaign, and the log of everything that happened to them.

    Made by `create` or `open`. Calls may come from any thread; they wait for the disk.

    Attributes:
        folder: Of the campaign.
        plan: What was frozen.
    """

    def __init__(self, folder: Path, plan: Plan, secrets: ServiceSecrets | None, clock: Callable[[], Instant]) -> None:
        self.folder = folder
        self.plan = plan
        self._secrets = secrets
        self._redo = redo_rule(plan, secrets.id_key, secrets.redo_key) if secrets else None
        self._clock = clock
        self._lock = threading.RLock()
        self._alone: Alone | None = None
        self._signer: Signer | None = None
        self._book = Book.begin(plan)
        self._head = beginning(plan)
        self._heads: tuple[Head, ...] = ()
        self._saved_head: Head | None = None
        self._pending: tuple[Event, Changes] | None = None
        self._database = Database(database_url(folder, read_url(folder)), plan.campaign_id if secrets else "")

    @classmethod
    def create(cls, folder: Path, plan: Plan, secrets: ServiceSecrets, url: str | None = None) -> EvaluationStore:
        """Make the database of a new campaign, in one transaction, and open it.

        Args:
            folder: Of the campaign.
            plan: What is frozen.
            secrets: Of the service.
            url: Of a PostgreSQL database that holds no campaign yet; None: SQLite in the folder.

        Raises:
            StoreUnavailable: Where it cannot be made, or holds a campaign already.
        """
        database = Database(database_url(folder, url), plan.campaign_id)
        try:
            with database.transaction() as connection:
                upgrade(connection)
                if connection.execute(select(tables.CAMPAIGN.c.campaign_id)).first() is not None:
                    raise StoreUnavailable("database: holds a campaign already: expected an empty one")
                connection.execute(insert(tables.SLOTS), [slot_row(slot) for slot in plan.slots])
                connection.execute(insert(tables.TRIALS), [trial_row(trial) for trial in Book.begin(plan).in_order()])
                # Last: from here on the slots cannot be changed.
                connection.execute(insert(tables.CAMPAIGN), campaign_row(plan))
            if url is not None:
                write_url(folder, url)
            head = beginning(plan)
            write_head(folder, _signed(plan, Signer(plan, secrets.signing_key), head))
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(f"database: cannot be made: {_reason(error)}") from None
        finally:
            database.close()
        return cls._opened(folder, plan, secrets, now)

    @classmethod
    def open(
        cls, folder: Path, secrets: ServiceSecrets | None = None, *, clock: Callable[[], Instant] = now
    ) -> EvaluationStore:
        """Open a campaign: everything in its database is read and checked.

        Args:
            folder: Of the campaign.
            secrets: Of the service, the only one that writes; None: only to read, as it is now.
            clock: What time it is.

        Raises:
            NotFound: Where there is no campaign.
            StoreUnavailable: Where the database cannot be reached, or another process runs the campaign.
            Tampered: Where the records contradict each other.
        """
        return cls._opened(folder, load_plan(folder), secrets, clock)

    @classmethod
    def _opened(
        cls, folder: Path, plan: Plan, secrets: ServiceSecrets | None, clock: Callable[[], Instant]
    ) -> EvaluationStore:
        store = cls(folder, plan, secrets, clock)
        try:
            store._begin()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def book(self) -> Book:
        """Everything that is recorded. Not to be changed, and only read while the store does nothing else."""
        return self._book

    def apply(self, actor: Actor, command: Command, key: str) -> Applied:
        """Record what somebody does.

        Args:
            actor: Who.
            command: What.
            key: Idempotency key: the same one again, with the same actor and command, records nothing and returns what
                the first one did, also after a crash.

        Raises:
            NotNow, NotAllowed, NotFound: Where it may not be; see `ledger/rules.py`.
            StoreUnavailable: Where the database took nothing; the same may be tried again with the same key.
            Tampered: Where the database is not as this service left it.
        """
        with self._lock:
            if self._signer is None:
                raise StoreUnavailable("the store was opened to be read: open it with the service's secrets")
            self._settle()
            receipt = self._book.receipt(actor, command, key)
            if receipt is not None:
                return Applied.of(receipt, repeated=True)
            changes = self._book.decide(self._entry(actor, command, key))
            event = self._signer.event(self._head, changes.entry)
            self._write(event, changes)
            return Applied.of(self._accept(event, changes), repeated=False)

    def trials(self) -> tuple[Trial, ...]:
        """All trials, in order of position."""
        with self._lock:
            return self._book.in_order()

    def next_trial(self) -> Trial | None:
        """The first one that is planned; None where none is."""
        with self._lock:
            return self._book.next_trial()

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events of the log.

        Args:
            after: Number of the event before the first one.
            limit: At most so many.

        Raises:
            StoreUnavailable: Where the database cannot be reached.
        """
        log = tables.EVENTS
        query = select(log).where(log.c.seq > after, log.c.seq <= self.head().seq).order_by(log.c.seq).limit(limit)
        with self._lock:
            return self._read(lambda connection: [Event(*row) for row in connection.execute(query)])

    def head(self) -> Head:
        """The end of the log: whoever notes it down can tell later whether anything was changed or cut off."""
        with self._lock:
            return self._head

    def passed(self, head: Head) -> bool:
        """Whether the log ended like this once, or does now; as far as it was read when the store was opened."""
        with self._lock:
            return head in (*self._heads, self._head)

    def check_database(self) -> None:
        """Check what no row shows: the file itself, and what keeps others from changing rows.

        Raises:
            Tampered: With what is wrong.
            StoreUnavailable: Where the database cannot be reached.
        """
        with self._lock:
            found = self._read(revision)
            if found != REVISION:
                raise Tampered(
                    f"database: tables of revision {found!r}, expected {REVISION!r}: serve it once, or restore it"
                )
            self._read(check_guards)
            if not self._database.is_postgresql:
                self._read(check_file)

    def close(self) -> None:
        """Let go of the database; the store cannot be used afterwards."""
        with self._lock:
            self._signer = None
            self._database.close()
            if self._alone is not None:
                self._alone.release()

    def _begin(self) -> None:
        secrets = self._secrets
        signer = None
        if secrets is not None:
            signer = Signer(self.plan, secrets.signing_key)
            if signer.public != self.plan.signing_key:
                raise Tampered("the service's signing key is not the plan's: these are another campaign's secrets")
            self._alone = Alone(self.folder)
        if not self._database.is_there:
            raise Tampered(f"{self.folder}: its database is gone")
        if secrets is not None:
            self._transact(upgrade)
        # Before the log: while a service runs, the log may grow in between, and a head never is ahead of it.
        saved = read_head(self.folder)
        reading = self._read(lambda connection: read(connection, self.plan, self._redo))
        if saved.campaign != self.plan.campaign_id:
            raise Tampered(f"head.json: is of campaign {saved.campaign}, the plan of {self.plan.campaign_id}")
        Verifier(self.plan).check_head(saved.head, saved.signature)
        if saved.head not in reading.heads:
            raise Tampered(
                f"head.json: names event {saved.seq} with hash {saved.hash[:16]}..., the log ends at {reading.head.seq}"
                " and does not have it: it was cut off or replaced"
            )
        self._book, self._heads, self._head = reading.book, reading.heads, reading.head
        self._saved_head = saved.head
        self._signer = signer
        self._save_head()

    def _entry(self, actor: Actor, command: Command, key: str) -> Entry:
        """The next event, once it was seen that it can be written down and read again.

        Raises:
            NotNow: Where the command or its key is malformed.
        """
        instant = self._clock()
        redo = self._redo(self._book, command.trial) if self._redo and isinstance(command, Void) else None
        entry = Entry(
            seq=self._book.seq + 1,
            at_ns=instant.at_ns,
            boot=instant.boot,
            mono_ns=instant.mono_ns,
            actor=actor.name,
            role=actor.role,
            key=key,
            command=command,
            redo=redo,
        )
        try:
            body = body_of(entry)
            known = msgspec.json.decode(body, type=Entry)
        except (msgspec.ValidationError, UnicodeEncodeError, ValueError) as error:
            raise NotNow(f"malformed command: {error}") from None
        if "\\u0000" in body or known != entry:
            raise NotNow("malformed command: it does not read as it was written")
        return entry

    def _write(self, event: Event, changes: Changes, *, again: bool = False) -> None:
        """Have the database take it; returns only if it did."""
        # Until it is accepted: whatever ends this in between, the next call finds out what became of it.
        self._pending = (event, changes)
        try:
            with self._database.transaction() as connection:
                write(connection, self._head, event, changes)
        except SQLAlchemyError as error:
            # Lost before, in or after the commit.
            try:
                self._settle(_reason(error))
            except StoreUnavailable:
                # A server that was started anew since the last command is there, and did not get this one.
                if again or self._pending is not None or not getattr(error, "connection_invalidated", False):
                    raise
                self._write(event, changes, again=True)
        except EvaluationError:
            self._pending = None
            raise

    def _settle(self, reason: str = "") -> None:
        """Find out what became of a commit that nobody answered for.

        Args:
            reason: Why a commit failed just now; its caller wants to know whether it is recorded.

        Raises:
            StoreUnavailable: Where it cannot be found out yet, or where `reason` was given and it is not recorded.
        """
        if self._pending is None:
            return
        event, changes = self._pending
        try:
            with self._database.transaction() as connection:
                last = newest(connection)
        except SQLAlchemyError as error:
            raise StoreUnavailable(
                f"database: {reason or _reason(error)}: whether the last command is recorded is found out when it is"
                " back: try again with the same key"
            ) from None
        if last == event:
            if not reason:
                self._accept(event, changes)
            return
        self._pending = None
        if reason:
            raise StoreUnavailable(f"database: {reason}: nothing was recorded: try again with the same key")

    def _accept(self, event: Event, changes: Changes) -> Receipt:
        receipt = self._book.accept(changes)
        self._head, self._pending = event.head, None
        self._save_head()
        return receipt

    def _save_head(self) -> None:
        """Write `head.json`. Without room for it, it stays behind the log, as after a crash, and is tried again."""
        signer = self._signer
        if signer is None or self._saved_head == self._head:
            return
        with contextlib.suppress(OSError):
            write_head(self.folder, _signed(self.plan, signer, self._head))
            self._saved_head = self._head

    def _transact(self, action: Callable[[Connection], None]) -> None:
        try:
            with self._database.transaction() as connection:
                action(connection)
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"database: {_reason(error)}") from None

    def _read(self, action: Callable[[Connection], T]) -> T:
        try:
            with self._database.transaction() as connection:
                return action(connection)
        except SQLAlchemyError as error:
            if is_damage(error):
                raise Tampered(f"database: {_reason(error)}: it was changed, damaged or cut off") from None
            raise StoreUnavailable(f"database: cannot be read: {_reason(error)}") from None


def _signed(plan: Plan, signer: Signer, head: Head) -> SignedHead:
    return SignedHead(campaign=plan.campaign_id, seq=head.seq, hash=head.hash, signature=signer.head(head))


def _reason(error: SQLAlchemyError | OSError) -> str:
    """Why, in one line, without statements, values or addresses with passwords."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:300]
