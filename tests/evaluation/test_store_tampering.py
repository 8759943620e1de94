"""Whoever has the whole folder, but not the signing key, cannot change anything without being found out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.evaluation.small_campaign import ADA, small, write_folder
from tests.evaluation.store_bench import Campaigns
from unichunk.benchmarks.evaluated import tampering
from unichunk.benchmarks.evaluated.lively_hands import next_move
from unichunk.server.evaluation.errors import Sealed, Tampered
from unichunk.server.evaluation.ledger.actor import SERVER
from unichunk.server.evaluation.ledger.commands import ClockJumped, Opened, Recorded, Void
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.commitment import published
from unichunk.server.evaluation.store import tables
from unichunk.server.evaluation.store.chain import beginning
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.migrations.first_guards import GUARDS
from unichunk.server.evaluation.store.results import results_of
from unichunk.server.evaluation.store.rows import campaign_row
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory: pytest.TempPathFactory) -> Campaigns:
    return Campaigns(tmp_path_factory.mktemp("campaigns"))


def test_every_column_of_every_table_and_every_field_of_every_file(campaigns: Campaigns, tmp_path: Path) -> None:
    """One of the rows each, drawn anew for every kind of change; the benchmark goes through all of them."""
    original = tmp_path / "original"
    campaign = campaigns.copy("complete", original)
    everything = list(tampering.cases(original))
    touched = {case.where for case in everything if case.what == "change"}
    columns = {f"{table.name}.{column.name}" for table in tables.METADATA.tables.values() for column in table.columns}
    assert touched == columns | {"alembic_version.version_num"}
    missed = [
        f"{case.what} {case.where}"
        for case in (*tampering.sample(everything, 5), tampering.signed_by_another(campaign))
        if tampering.is_found(original, tmp_path / "copy", case) is False
    ]
    assert missed == []


def test_the_service_does_not_open_what_was_changed(campaigns: Campaigns, tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    campaign = campaigns.copy("halfway", folder)
    with tampering.opened_to_changes(folder) as database:
        database.execute("UPDATE scores SET success = 1 - success WHERE seq = (SELECT MIN(seq) FROM scores)")
    with pytest.raises(Tampered, match=r"scores\[.*success: is"):
        EvaluationStore.open(folder, campaign.secrets)


def test_a_story_that_was_told_anew_is_not_signed(campaigns: Campaigns, tmp_path: Path) -> None:
    """Another score in its event, all hashes after it computed again, all tables as that log would have them."""
    folder = tmp_path / "campaign"
    campaign = campaigns.copy("complete", folder)
    with tampering.opened_to_changes(folder) as database:
        previous = beginning(campaign.plan).hash
        for seq, body in database.execute("SELECT seq, body FROM events ORDER BY seq").fetchall():
            flip = (
                ('"success":true', '"success":false')
                if '"success":true' in body
                else ('"success":false', '"success":true')
            )
            told = body.replace(*flip)
            digest = hashlib.sha256(f"unichunk evaluation event 1\n{previous}\n{told}".encode()).hexdigest()
            values = (told, previous, digest, seq)
            database.execute("UPDATE events SET body = ?, previous = ?, hash = ? WHERE seq = ?", values)
            previous = digest
    with pytest.raises(Tampered, match="signature is not the campaign's"):
        verify(folder)


def test_another_plan_everywhere_does_not_fit_the_log(campaigns: Campaigns, tmp_path: Path) -> None:
    """Before the commitment can be opened: the first event is bound to the plan."""
    folder = tmp_path / "campaign"
    plan = campaigns.copy("halfway", folder).plan
    rules = msgspec.structs.replace(plan.campaign.analysis, alpha=0.2)
    changed = msgspec.structs.replace(plan, campaign=msgspec.structs.replace(plan.campaign, analysis=rules))
    (folder / "plan.json").write_bytes(canonical_json(changed) + b"\n")
    (folder / "commitment.json").write_bytes(canonical_json(published(changed)) + b"\n")
    with tampering.opened_to_changes(folder) as database:
        database.execute("UPDATE campaign SET plan = ?", (campaign_row(changed)["plan"],))
    with pytest.raises(Tampered, match="event 1: is not bound"):
        verify(folder)


def test_older_copies_of_everything_are_found_by_a_head_that_somebody_kept(
    campaigns: Campaigns, tmp_path: Path
) -> None:
    folder, older = tmp_path / "campaign", tmp_path / "older"
    campaign = campaigns.copy("halfway", folder)
    kept = [str(verify(folder).head)]
    shutil.copytree(folder, older)
    with contextlib.closing(EvaluationStore.open(folder, campaign.secrets)) as store:
        store.apply(SERVER, ClockJumped(by_s=1.0), "key")
        kept.append(str(store.head()))
    assert str(verify(folder, heads=kept).head) == kept[1]
    assert str(verify(older, heads=kept[:1]).head) == kept[0]
    with pytest.raises(Tampered, match="never had it"):
        verify(older, heads=kept)


@pytest.mark.parametrize("head", ["", "x", "1", "1:", ":", "-1:ab", "1:" + "0" * 64, "²:00", "99999999:" + "0" * 64])
def test_heads_that_never_were(campaigns: Campaigns, tmp_path: Path, head: str) -> None:
    campaigns.copy("halfway", tmp_path / "campaign")
    with pytest.raises(Tampered, match="never had it"):
        verify(tmp_path / "campaign", heads=[head])


def test_an_older_database_under_the_newer_head(campaigns: Campaigns, tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    campaign = campaigns.copy("halfway", folder)
    shutil.copy(folder / "evaluation.db", tmp_path / "older.db")
    with contextlib.closing(EvaluationStore.open(folder, campaign.secrets)) as store:
        store.apply(SERVER, ClockJumped(by_s=1.0), "key")
    shutil.copy(tmp_path / "older.db", folder / "evaluation.db")
    for secrets in (campaign.secrets, None):
        with pytest.raises(Tampered, match="cut off"):
            EvaluationStore.open(folder, secrets)


def test_places_that_the_service_chose_itself_are_found_once_the_seed_is_known(tmp_path: Path) -> None:
    """Whoever holds the signing key can sign another place for a voided trial, but cannot make the seed draw it."""
    campaign = small()
    folder = write_folder(campaign, tmp_path / "campaign")
    secrets = msgspec.structs.replace(campaign.secrets, redo_key=bytes(32))
    with contextlib.closing(EvaluationStore.create(folder, campaign.plan, secrets)) as store:
        rng = random.Random(4)
        while move := next_move(store.book, rng):
            store.apply(*move, f"key-{store.head().seq}")
        assert any(isinstance(event.entry.command, Void) for event in store.events())
        store.apply(ADA, Opened(), "open")
    assert not verify(folder).commitment_opened
    (folder / "unblinded.json").write_bytes(canonical_json(campaign.opening) + b"\n")
    with pytest.raises(Tampered, match="not drawn with the campaign's keys"):
        verify(folder)


def test_a_seal_that_was_opened_in_secret(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign = campaigns.copy("halfway", tmp_path / "campaign")
    (tmp_path / "campaign" / "unblinded.json").write_bytes(canonical_json(campaign.opening) + b"\n")
    with pytest.raises(Tampered, match="does not say that the campaign was opened"):
        verify(tmp_path / "campaign")


@pytest.mark.parametrize("content", [None, b"{}", b"xyz"])
def test_what_was_sealed_has_to_be_there_until_it_is_opened(
    campaigns: Campaigns, tmp_path: Path, content: bytes | None
) -> None:
    for kind in ("halfway", "complete"):
        campaigns.copy(kind, tmp_path / kind)
        verify(tmp_path / kind)
        sealed = tmp_path / kind / "sealed.json"
        sealed.unlink() if content is None else sealed.write_bytes(content)
    with pytest.raises(Tampered, match=r"sealed\.json"):
        verify(tmp_path / "halfway")
    verify(tmp_path / "complete")


def test_what_is_verified_is_said(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign = campaigns.copy("complete", tmp_path / "complete")
    verified = verify(tmp_path / "complete")
    assert (verified.scored, verified.total) == (8, 8)
    assert (verified.opened, verified.commitment_opened) == (True, True)
    assert verified.commitment == campaign.plan.commitment
    (tmp_path / "complete" / "unblinded.json").unlink()
    assert any("unblinded.json is not there" in note for note in verify(tmp_path / "complete").notes)
    assert any("have no recording" in note for note in verified.notes)
    assert any("--head" in note for note in verified.notes)
    assert not any("--head" in note for note in verify(tmp_path / "complete", heads=[str(verified.head)]).notes)
    campaigns.copy("halfway", tmp_path / "halfway")
    assert any("not complete" in note for note in verify(tmp_path / "halfway").notes)


def _record(folder: Path, store: EvaluationStore) -> Path:
    trial = next(trial for trial in store.trials() if trial.operator and trial.id not in store.book.recordings)
    episode = folder / "episodes" / trial.id
    (episode / "frames").mkdir(parents=True)
    (episode / "frames" / "1.jpg").write_bytes(b"a picture")
    document = {"fps": 5, "sha256": {"frames/1.jpg": hashlib.sha256(b"a picture").hexdigest()}}
    (episode / "episode.json").write_text(json.dumps(document))
    digest = hashlib.sha256((episode / "episode.json").read_bytes()).hexdigest()
    store.apply(SERVER, Recorded(trial=trial.id, sha256=digest), f"recorded/{trial.id}")
    return episode


@pytest.mark.parametrize("harm", ["picture", "document", "added", "removed"])
def test_recordings(campaigns: Campaigns, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "campaign"
    with campaigns.opened("halfway", folder) as store:
        episode = _record(folder, store)
    before = verify(folder)
    if harm == "picture":
        (episode / "frames" / "1.jpg").write_bytes(b"another picture")
    elif harm == "document":
        (episode / "episode.json").write_text("{}")
    elif harm == "added":
        (episode / "frames" / "2.jpg").write_bytes(b"a picture")
    else:
        (episode / "frames" / "1.jpg").unlink()
    with pytest.raises(Tampered, match="episodes"):
        verify(folder)
    shutil.rmtree(episode)
    assert verify(folder).notes != before.notes


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_every_guard_holds(campaigns: Campaigns, tmp_path: Path, guard: object) -> None:
    folder = tmp_path / "campaign"
    campaigns.copy("halfway", folder)
    statements = {
        ("slots", "INSERT"): "INSERT INTO slots SELECT slot + 1000, trial || 'x', layout, sealed_policy FROM slots",
        ("trials", "INSERT"): "INSERT INTO trials SELECT id || 'x', slot, attempt + 9, position + 0.1, layout, 'void', "
        "operator, robot, reason, started_at, ended_at, duration_s, version FROM trials",
        ("trials", "UPDATE"): "UPDATE trials SET robot = 'another' WHERE state = 'scored'",
        (
            "events",
            "INSERT",
        ): "INSERT INTO events SELECT seq + 1000, body, previous, hash || 'x', signature FROM events",
        (
            "scores",
            "INSERT",
        ): "INSERT INTO scores SELECT id, 1, '', '', 'eve', 1 FROM trials WHERE state = 'void' LIMIT 1",
    }
    table, operation = guard.table, guard.operation  # type: ignore[attr-defined]
    first = {"UPDATE": f"UPDATE {table} SET rowid = rowid", "DELETE": f"DELETE FROM {table}"}.get(operation, "")
    with contextlib.closing(sqlite3.connect(folder / "evaluation.db")) as database:
        with pytest.raises(sqlite3.IntegrityError, match=f"{table}: "):
            database.execute(statements.get((table, operation), first))
        database.rollback()
        database.execute(f"DROP TRIGGER {guard.name}")  # type: ignore[attr-defined]
    with pytest.raises(Tampered, match=r"guard_.* is gone"):
        verify(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER more AFTER INSERT ON scores BEGIN SELECT 1; END",
        "DROP INDEX one_trial_per_slot",
        "DROP TRIGGER guard_scores_update; "
        "CREATE TRIGGER guard_scores_update BEFORE UPDATE ON scores WHEN 0 BEGIN SELECT 1; END",
    ],
)
def test_other_guards_than_ours(campaigns: Campaigns, tmp_path: Path, statement: str) -> None:
    campaigns.copy("halfway", tmp_path / "campaign")
    with contextlib.closing(sqlite3.connect(tmp_path / "campaign" / "evaluation.db")) as database:
        database.executescript(statement)
    with pytest.raises(Tampered, match="database:"):
        verify(tmp_path / "campaign")


def test_results_are_for_opened_campaigns(campaigns: Campaigns, tmp_path: Path) -> None:
    with campaigns.opened("halfway", tmp_path / "halfway") as store, pytest.raises(Sealed, match="of 8"):
        results_of(store, {})
    campaign = campaigns.copy("complete", tmp_path / "complete")
    names = {slot.slot: f"policy {slot.slot % 2}" for slot in campaign.plan.slots}
    with contextlib.closing(EvaluationStore.open(tmp_path / "complete")) as store:
        results = results_of(store, names)
        book = store.book
    assert [trial.trial for trial in results.trials] == book.judged
    assert [trial.order for trial in results.trials] == list(range(8))
    assert all(trial.policy == names[book.trials[trial.trial].slot] for trial in results.trials)
    assert [void.cause for void in results.voids] == [book.causes[trial] for trial in book.voided]
    assert len(results.second_scores) == len(book.ratings)
    assert {guess.policy for guess in results.guesses} <= set(names.values())
    assert results.log_head == str(book_head(tmp_path / "complete"))
    for preference in results.preferences:
        assert preference.better == names[book.trials[preference.first].slot]


def book_head(folder: Path) -> str:
    document = json.loads((folder / "head.json").read_bytes())
    return f"{document['seq']}:{document['hash']}"
