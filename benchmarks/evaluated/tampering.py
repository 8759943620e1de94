"""What somebody with full access to a campaign's folder could do to its records, row by row and file by file.

Everything is done as stealthily as SQL allows: triggers and foreign keys are out of the way while it happens, and the
triggers are back afterwards. Each case has to be found by `verify`, and by the service when it opens the campaign.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from unichunk.benchmarks.evaluated.lively_hands import next_move
from unichunk.benchmarks.evaluated.small_campaign import ADA, EVE, Small, small, write_folder
from unichunk.server.evaluation.errors import NotFound, Tampered
from unichunk.server.evaluation.ledger.commands import EndedEarly, Looked, Opened, Void
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.store.chain import Head, Signer, beginning
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

TABLES = ("campaign", "slots", "trials", "scores", "second_scores", "events", "requests", "alembic_version")
ROW_NUMBERS = {("campaign", "id"), ("slots", "slot"), ("events", "seq")}
"""Columns that are SQLite's own row number."""

FILES = ("plan.json", "commitment.json", "head.json", "unblinded.json")


@dataclass(frozen=True)
class Case:
    """One thing that is done to a folder.

    Attributes:
        what: `change`, `swap`, `delete`, `insert`, `move`, `cut`, `sign` or `file`.
        where: Which table and column, or which file.
        harm: Does it.
    """

    what: str
    where: str
    harm: Callable[[Path], None]


@dataclass(frozen=True)
class TamperingRow:
    """What came of all cases of one kind.

    Attributes:
        what: Kind.
        cases: How many.
        refused: How many of them the tables' own constraints did not let happen, even without triggers.
        found: How many of the others `verify` found.
        missed: Where they were that it did not find.
    """

    what: str
    cases: int
    refused: int
    found: int
    missed: tuple[str, ...]


def make_campaign(folder: Path, seed: int = 1, *, complete: bool = True, ended: bool = False) -> Small:
    """A campaign whose every table has several rows; complete, opened and unblinded, or halfway.

    Args:
        folder: To be made.
        seed: Of what happens in it.
        complete: Whether it is run to its end.
        ended: Whether it is ended halfway, opened and unblinded.
    """
    campaign = small(trials_per_cell=2)
    write_folder(campaign, folder)
    store = EvaluationStore.create(folder, campaign.plan, campaign.secrets)
    rng = random.Random(seed)  # noqa: S311  (not for secrets)
    while (move := next_move(store.book, rng)) and (complete or len(store.book.judged) < 4):
        store.apply(*move, f"key-{store.head().seq}")
    if ended:
        for trial in store.book.held:
            store.apply(ADA, Void(trial=trial.id, reason="the robot broke"), f"void-{trial.id}")
        store.apply(ADA, Looked(scored=len(store.book.judged)), "look")
        store.apply(EVE, EndedEarly(reason="the robot broke"), "end")
    if complete or ended:
        store.apply(ADA, Opened(), "open")
        (folder / "unblinded.json").write_bytes(canonical_json(campaign.opening) + b"\n")
    store.close()
    return campaign


def is_found(original: Path, folder: Path, case: Case) -> bool | None:
    """Whether `verify` refuses a copy of a campaign after something was done to it.

    Args:
        original: The campaign's folder; is not touched.
        folder: Where the copy is made; removed afterwards.
        case: What is done.

    Returns:
        None where the table's own constraints do not let it happen.
    """
    shutil.copytree(original, folder)
    try:
        case.harm(folder)
        verify(folder)
    except (Tampered, NotFound):
        return True
    except sqlite3.IntegrityError:
        return None
    finally:
        shutil.rmtree(folder)
    return False


def cases(original: Path) -> Iterator[Case]:
    """Everything that is done to a campaign, to every row of every table and every field of every file."""
    with contextlib.closing(sqlite3.connect(original / "evaluation.db")) as database:
        for table in TABLES:
            yield from _of_table(database, table)
        (events,) = database.execute("SELECT COUNT(*) FROM events").fetchone()
    for first in range(1, events):
        yield Case("move", f"events {first} and {first + 1}", partial(_swap_events, first=first))
    for keep in range(events):
        yield Case("cut", f"events after {keep}, alone", partial(_cut_events, keep=keep))
    for name in FILES:
        document = json.loads((original / name).read_bytes())
        for key in document:
            yield Case("file", f"{name}: {key}", partial(_change_file, name=name, key=key))
    for name in (*FILES[:3], "evaluation.db"):
        yield Case("file", f"{name}: removed", partial(_remove, name=name))


def signed_by_another(campaign: Small) -> Case:
    """The whole log written again, from the first event, with another key; every hash fits."""
    return Case("sign", "all events", partial(_sign_again, campaign=campaign))


def sample(everything: Iterable[Case], seed: int) -> list[Case]:
    """One case of every kind for every column and file; one that moves events, and one that cuts them off."""
    rng = random.Random(seed)  # noqa: S311  (not for secrets)
    kinds: dict[tuple[str, str], list[Case]] = {}
    for case in everything:
        where = "" if case.what in {"move", "cut"} else case.where
        kinds.setdefault((case.what, where), []).append(case)
    return [rng.choice(alike) for alike in kinds.values()]


def measure(folder: Path, *, quick: bool = False) -> list[TamperingRow]:
    """Do everything to a complete campaign, one after the other.

    Args:
        folder: An empty one to work in.
        quick: Only to one row of every table and column.
    """
    campaign = make_campaign(folder / "original")
    verify(folder / "original")
    results: dict[str, list[tuple[str, bool | None]]] = {}
    everything = cases(folder / "original")
    for case in (*(sample(everything, 0) if quick else everything), signed_by_another(campaign)):
        found = is_found(folder / "original", folder / "copy", case)
        results.setdefault(case.what, []).append((case.where, found))
    return [_row(what, found) for what, found in results.items()]


def _row(what: str, results: list[tuple[str, bool | None]]) -> TamperingRow:
    found = [result for _, result in results]
    missed = tuple(where for where, result in results if result is False)
    return TamperingRow(what, len(found), found.count(None), found.count(True), missed)


def _of_table(database: sqlite3.Connection, table: str) -> Iterator[Case]:
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    rows = database.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()  # noqa: S608
    for row in rows:
        for number, column in enumerate(columns, 1):
            value = another(row[number])
            yield Case(
                "change", f"{table}.{column}", partial(_set, table=table, column=column, row=row[0], value=value)
            )
        yield Case("delete", f"{table}", partial(_delete, table=table, row=row[0]))
        yield Case("insert", f"{table}", partial(_insert, table=table, columns=columns, values=row[1:]))
    for first, second in itertools.pairwise(rows):
        for number, column in enumerate(columns, 1):
            if first[number] != second[number]:
                swap = partial(_swap, table=table, column=column, first=first[0], second=second[0])
                yield Case("swap", f"{table}.{column}", swap)


def another(value: Any) -> Any:
    """A value of the same type that is not the same."""
    if isinstance(value, int):
        return 1 - value if value in {0, 1} else value + 1
    if isinstance(value, float):
        return value + 0.25
    text = str(value)
    # One character, of the same kind: hexadecimal stays hexadecimal, JSON stays JSON.
    for place in range(len(text) - 1, -1, -1):
        if text[place].isalnum():
            other = {"0": "1", "a": "b"}.get(text[place], "0" if text[place].isdigit() else "a")
            return text[:place] + other + text[place + 1 :]
    return text + "a"


@contextlib.contextmanager
def opened_to_changes(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database without triggers, unique indexes and foreign keys; they are back afterwards where they can be."""
    with contextlib.closing(sqlite3.connect(folder / "evaluation.db", isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA ignore_check_constraints = ON")
        query = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
        guards = database.execute(query).fetchall()
        for kind, name, _ in guards:
            database.execute(f"DROP {kind} {name}")
        yield database
        for _, _, sql in guards:
            with contextlib.suppress(sqlite3.IntegrityError):
                database.execute(sql)


def _set(folder: Path, *, table: str, column: str, row: int, value: Any) -> None:
    with opened_to_changes(folder) as database:
        try:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))  # noqa: S608
        except sqlite3.IntegrityError:
            # A value that another row has already: one that no row has.
            value = 10_000 if isinstance(value, int) else f"{value}a"
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))  # noqa: S608


def _delete(folder: Path, *, table: str, row: int) -> None:
    with opened_to_changes(folder) as database:
        database.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))  # noqa: S608


def _insert(folder: Path, *, table: str, columns: list[str], values: tuple[Any, ...]) -> None:
    """A copy of a row, with other keys."""
    fresh = {"id", "slot", "trial", "seq", "key", "hash", "position", "version_num"}
    with opened_to_changes(folder) as database:
        copy = [
            (1000 if isinstance(value, (int, float)) else f"{value}x") if name in fresh else value
            for name, value in zip(columns, values, strict=True)
        ]
        marks = ", ".join("?" * len(copy))
        database.execute(f"INSERT INTO {table} VALUES ({marks})", copy)  # noqa: S608


def _swap(folder: Path, *, table: str, column: str, first: int, second: int) -> None:
    with opened_to_changes(folder) as database:
        query = f"SELECT {column} FROM {table} WHERE rowid = ?"  # noqa: S608
        ((one,), (two,)) = (database.execute(query, (row,)).fetchone() for row in (first, second))
        aside = -1 if isinstance(one, (int, float)) else "aside"
        # Through a third value, for columns that are unique; keys that are row numbers move with them.
        moves = ((aside, first), (one, second), (two, aside if (table, column) in ROW_NUMBERS else first))
        for value, row in moves:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))  # noqa: S608


def _swap_events(folder: Path, *, first: int) -> None:
    """Two events change places, and everything that is bound to a place stays behind."""
    with opened_to_changes(folder) as database:
        for value, row in ((-1, first), (first, first + 1), (first + 1, -1)):
            database.execute("UPDATE events SET seq = ? WHERE seq = ?", (value, row))


def _cut_events(folder: Path, *, keep: int) -> None:
    with opened_to_changes(folder) as database:
        for table in ("events", "requests", "scores", "second_scores"):
            database.execute(f"DELETE FROM {table} WHERE seq > ?", (keep,))  # noqa: S608


def _change_file(folder: Path, *, name: str, key: str) -> None:
    document = json.loads((folder / name).read_bytes())
    document[key] = _another_part(document[key])
    (folder / name).write_bytes(msgspec.json.encode(document, order="sorted") + b"\n")


def _another_part(value: Any) -> Any:
    if isinstance(value, dict):
        key = sorted(value)[0]
        return {**value, key: _another_part(value[key])}
    if isinstance(value, list):
        return [*value[:-1], _another_part(value[-1])] if value else ["a"]
    return another(value)


def _remove(folder: Path, *, name: str) -> None:
    (folder / name).unlink()


def _sign_again(folder: Path, *, campaign: Small) -> None:
    forger = Signer(campaign.plan, bytes(32))
    previous = beginning(campaign.plan)
    with contextlib.closing(EvaluationStore.open(folder)) as store:
        events = store.events()
    with opened_to_changes(folder) as database:
        for event in events:
            forged = forger.event(previous, event.entry)
            previous = forged.head
            values = (forged.previous, forged.hash, forged.signature, forged.seq)
            database.execute("UPDATE events SET previous = ?, hash = ?, signature = ? WHERE seq = ?", values)
    _sign_head(folder, forger, previous)


def _sign_head(folder: Path, signer: Signer, head: Head) -> None:
    document = json.loads((folder / "head.json").read_bytes())
    document |= {"seq": head.seq, "hash": head.hash, "signature": signer.head(head)}
    (folder / "head.json").write_text(json.dumps(document))
