"""Checking a campaign's records from outside: nothing was changed, moved, added or cut off."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.server.evaluation.errors import NotFound, Tampered
from unichunk.server.evaluation.planning import folder as names
from unichunk.server.evaluation.planning.commitment import (
    Published,
    check_opening,
    check_published,
    schedule_of,
)
from unichunk.server.evaluation.planning.load import load_plan, parse_document, read_document
from unichunk.server.evaluation.planning.opening import load_unblinded, open_sealed, read_sealed
from unichunk.server.evaluation.store.chain import Head
from unichunk.server.evaluation.store.episode_files import check_episodes
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.reading import fold
from unichunk.server.evaluation.store.redo_rule import redo_rule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.server.evaluation.ledger.book import Book
    from unichunk.server.evaluation.ledger.records import Ended
    from unichunk.server.evaluation.planning.commitment import Opening
    from unichunk.server.evaluation.planning.plan import Plan
    from unichunk.server.evaluation.store.chain import Event

PAGE = 1000
"""Events read at once."""


@dataclass(frozen=True)
class Verified:
    """What was checked and found in order.

    Attributes:
        campaign: Its name.
        campaign_id: Its opaque id.
        commitment: What was published before the first trial.
        head: End of the log.
        total: Trials that complete the plan.
        scored: Trials that are scored.
        voids: Trials that are void.
        opened: Whether the campaign was opened.
        ended: Where it was ended before its plan was complete; None otherwise.
        commitment_opened: Whether the commitment, the schedule, every id and every place of a redone trial were
            recomputed from the seed.
        notes: What could not be checked, and why; one line each.
    """

    campaign: str
    campaign_id: str
    commitment: str
    head: Head
    total: int
    scored: int
    voids: int
    opened: bool
    ended: Ended | None
    commitment_opened: bool
    notes: tuple[str, ...]


def verify(folder: Path, *, heads: Sequence[str] = (), admin_key: Path | None = None) -> Verified:
    """Check everything that can be checked in a campaign's folder and its database.

    What was not noted down elsewhere cannot be missed: who replaces database, `head.json` and all their copies by
    older ones is found out by a head that somebody kept (`heads`), and a published commitment by being compared
    with the one that is returned.

    Args:
        folder: Of the campaign.
        heads: Ends of the log that were noted down earlier, `SEQ:HASH`.
        admin_key: File of the admin's private key, to open the commitment before `unblinded.json` is there.

    Raises:
        Tampered: With the first thing that does not fit; one line.
        NotFound: Where there is no campaign.
        StoreUnavailable: Where its database cannot be reached.
    """
    plan = load_plan(folder)
    path = folder / names.COMMITMENT
    check_published(plan, parse_document(read_document(path), Published, path))
    _check_photos(folder, plan)
    _check_sealed(folder, plan)
    store = EvaluationStore.open(folder)
    try:
        store.check_database()
        book = store.book
        _check_heads(store, heads)
        opening = _opening(folder, admin_key)
        if opening is not None:
            _check_drawn(store, plan, opening)
        head = store.head()
    finally:
        store.close()
    _check_complete(folder, book)
    missing = check_episodes(folder, book.recordings)
    return Verified(
        campaign=plan.campaign.name,
        campaign_id=plan.campaign_id,
        commitment=plan.commitment,
        head=head,
        total=len(plan.slots),
        scored=len(book.judged),
        voids=len(book.voided),
        opened=book.opened,
        ended=book.ended,
        commitment_opened=opening is not None,
        notes=tuple(_notes(book, opening, missing, heads)),
    )


def _check_photos(folder: Path, plan: Plan) -> None:
    for layout in plan.campaign.layouts:
        if not layout.photo:
            continue
        path = folder / layout.photo
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise Tampered(f"{path}: cannot be read: {error.strerror}: it was frozen with the plan") from None
        if found != layout.photo_sha256:
            raise Tampered(f"{path}: is not the photo that was frozen with the plan")


def _check_sealed(folder: Path, plan: Plan) -> None:
    """Whether what the admin's key will open is there: without it, nobody ever learns which trial was which policy."""
    if (folder / names.UNBLINDED).exists():
        return
    try:
        read_sealed(folder, plan)
    except NotFound as error:
        raise Tampered(f"{error}: the campaign can never be opened") from None


def _check_heads(store: EvaluationStore, heads: Sequence[str]) -> None:
    for noted in heads:
        seq, _, digest = noted.strip().partition(":")
        head = Head(int(seq), digest.lower()) if seq.isascii() and seq.isdigit() else None
        if head is None or not store.passed(head):
            raise Tampered(
                f"head {noted!r}: the log, which ends at {store.head().seq}, never had it: it was cut off or replaced"
            )


def _opening(folder: Path, admin_key: Path | None) -> Opening | None:
    unblinded = load_unblinded(folder)
    if admin_key is None:
        return None if unblinded is None else unblinded.opening
    opening = open_sealed(folder, admin_key)
    if unblinded is not None and unblinded.opening != opening:
        raise Tampered(f"{folder / names.UNBLINDED}: is not what {names.SEALED} holds")
    return opening


def _check_drawn(store: EvaluationStore, plan: Plan, opening: Opening) -> None:
    """The seed's schedule, ids and places, and K scored trials of every cell, at most K before the plan is complete."""
    keys = check_opening(plan, opening)
    events: list[Event] = []
    while page := store.events(events[-1].seq if events else 0, PAGE):
        events += page
    book = fold(plan, events, redo_rule(plan, keys.id_key, keys.redo_key)).book
    policies = schedule_of(plan, opening)
    cells = Counter((slot.layout, policies[slot.slot]) for slot in plan.slots)
    judged = Counter((book.trials[trial].layout, policies[book.trials[trial].slot]) for trial in book.judged)
    wanted = plan.campaign.trials_per_cell
    completed = book.opened and book.ended is None
    for layout in plan.campaign.layouts:
        for number, policy in enumerate(plan.campaign.policies):
            cell = (layout.name, number)
            if cells[cell] != wanted or judged[cell] > wanted or (completed and judged[cell] != wanted):
                raise Tampered(
                    f"layout {layout.name}, policy {policy.name}: {cells[cell]} slots, {judged[cell]} scored trials:"
                    f" expected {wanted}"
                )


def _check_complete(folder: Path, book: Book) -> None:
    if (folder / names.UNBLINDED).exists() and not book.opened:
        raise Tampered(f"{folder / names.UNBLINDED}: is there, and the log does not say that the campaign was opened")


def _notes(book: Book, opening: Opening | None, missing: int, heads: Sequence[str]) -> list[str]:
    notes = []
    if opening is None:
        why = f"{names.UNBLINDED} is not there" if book.opened else "the campaign is not complete"
        notes.append(f"schedule and redone trials were not compared with the seed: {why} (or use --admin-key)")
    if missing:
        notes.append(f"{missing} of {len(book.recordings)} recordings are not there")
    unseen = len(set(book.judged) - set(book.recordings))
    if unseen:
        notes.append(
            f"{unseen} of {len(book.judged)} scored trials have no recording: their scores rest on the log alone"
        )
    if not heads:
        notes.append(
            "no head was given that was noted down elsewhere: a folder that was replaced as a whole, by whoever has "
            "the signing key or an older copy, cannot be told (--head SEQ:HASH)"
        )
    return notes
