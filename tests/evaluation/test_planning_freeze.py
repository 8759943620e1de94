"""Freezing and opening a campaign: whole or not at all, secrets where they belong, opened once it is complete."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import stat
import subprocess
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from PIL import Image

from tests.evaluation.small_campaign import ADA, ANN, EVE
from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.server.evaluation.errors import BadCampaign, BundleChanged, NotFound, NotNow, Sealed, Tampered
from unichunk.server.evaluation.ledger.commands import Arm, End, GiveScore, Lease, Opened, Start
from unichunk.server.evaluation.planning import freeze as freezing
from unichunk.server.evaluation.planning import whole_folder
from unichunk.server.evaluation.planning.admin_key import admin_key_text, read_admin_private, read_admin_public
from unichunk.server.evaluation.planning.commitment import Published, check_opening, check_published
from unichunk.server.evaluation.planning.freeze import Frozen, freeze
from unichunk.server.evaluation.planning.load import load_campaign, load_plan, load_secrets, policy_of
from unichunk.server.evaluation.planning.opening import load_unblinded, open_sealed, unblind
from unichunk.server.evaluation.planning.seal import public_half
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.private_file import PrivateFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

CAMPAIGN: dict[str, Any] = {
    "name": "cups",
    "robot": "so101",
    "trials_per_cell": 1,
    "policies": [
        {"name": "ours", "source": "ours", "refinement_rounds": 1},
        {"name": "theirs", "source": "openpi+ws://localhost:8000"},
    ],
    "tasks": [{"name": "stack", "instruction": "stack the cups", "success": "one in the other"}],
    "layouts": [{"name": "left", "task": "stack", "photo": "photos/left.png"}],
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "ours")


@pytest.fixture
def home(tmp_path: Path, bundle: Path) -> Path:
    """A folder with a campaign file and everything that it names."""
    folder = tmp_path / "home"
    (folder / "photos").mkdir(parents=True)
    content = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 0, 0)).save(content, "PNG")
    (folder / "photos" / "left.png").write_bytes(content.getvalue())
    shutil.copytree(bundle, folder / "ours")
    write(folder, CAMPAIGN)
    return folder


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Frozen:
    """One that tests only look at."""
    home = tmp_path_factory.mktemp("frozen")
    (home / "photos").mkdir()
    Image.new("RGB", (16, 12)).save(home / "photos" / "left.png")
    shutil.copytree(bundle, home / "ours")
    write(home, {**CAMPAIGN, "trials_per_cell": 3})
    return freeze(home / "c.json", home / "out", now=NOW, admin_key=home / "admin.key")


def write(home: Path, document: dict[str, Any]) -> Path:
    path = home / "c.json"
    path.write_text(json.dumps(document))
    return path


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def key_file(path: Path, private: bytes = b"k" * 32) -> Path:
    path.write_bytes(admin_key_text(private))
    path.chmod(0o600)
    return path


def score_all(folder: Path, *, keep: int = 0) -> None:
    """Judge all trials but a few."""
    store = EvaluationStore.open(folder, load_secrets(folder))
    try:
        for number, trial in enumerate(store.trials()[: len(store.plan.slots) - keep]):
            for step, command in enumerate(
                (
                    Lease(trial=trial.id, robot="r"),
                    Arm(trial=trial.id),
                    Start(trial=trial.id),
                    End(trial=trial.id, cause="operator", duration_s=1.0),
                    GiveScore(trial=trial.id, success=number % 2 == 0),
                )
            ):
                store.apply(ANN, command, f"{number}/{step}")
    finally:
        store.close()


def test_a_frozen_campaign_says_what_was_declared_with_all_hashes(frozen: Frozen) -> None:
    plan = load_plan(frozen.folder)
    assert plan == frozen.plan
    assert plan.frozen_at == "2026-01-02T03:04:05+00:00"
    assert len(plan.slots) == 6
    campaign = plan.campaign
    assert all(len(policy.sha256) == 64 for policy in campaign.policies)
    assert len(campaign.robot_sha256) == 64
    layout = campaign.layouts[0]
    assert layout.photo == f"photos/{layout.photo_sha256}.png"
    assert (frozen.folder / layout.photo).is_file()
    # Paths of this machine are in no public file.
    assert campaign.policies[0].source == "ours"
    located = load_campaign(frozen.folder)
    assert located.policies[0].source == str(frozen.folder.parent / "ours")
    assert located.robot == "so101"
    commitment = msgspec.json.decode((frozen.folder / "commitment.json").read_bytes(), type=Published)
    check_published(plan, commitment)


def test_secrets_are_private_and_fit_the_plan(frozen: Frozen) -> None:
    folder = frozen.folder
    # Not the folder itself either: which trial is a void one's repetition, and so the same policy, stands in its log.
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "private").stat().st_mode) == 0o700
    for path in (folder / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(frozen.admin_key.stat().st_mode) == 0o600
    secrets = load_secrets(folder)
    opening = open_sealed(folder, frozen.admin_key)
    assert secrets.map_key.hex() == opening.map_key
    policies = [policy_of(frozen.plan, secrets, slot) for slot in range(6)]
    assert sorted(policies) == [0, 0, 0, 1, 1, 1]
    for slot in (-1, 6):
        with refused(NotFound, f"slot {slot}", "0 to 5"):
            policy_of(frozen.plan, secrets, slot)
    assert read_admin_public(frozen.admin_key).hex() == frozen.plan.admin_key


def test_no_public_file_holds_a_secret_in_any_form(frozen: Frozen) -> None:
    folder = frozen.folder
    opening = open_sealed(folder, frozen.admin_key)
    secrets = load_secrets(folder)
    found = [bytes.fromhex(getattr(opening, name)) for name in opening.__struct_fields__]
    found += [getattr(secrets, name) for name in secrets.__struct_fields__]
    forms = {form for secret in found for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:40])}
    public = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "private"]
    assert {path.name for path in public} >= {"plan.json", "commitment.json", "sealed.json", "evaluation.db"}
    for path in public:
        content = path.read_bytes()
        assert not any(form in content for form in forms), path
    # Of the seed and the salt, the private files know nothing either.
    private = b"".join(path.read_bytes() for path in (folder / "private").iterdir())
    for name in ("seed", "salt"):
        secret = bytes.fromhex(getattr(opening, name))
        assert secret.hex().encode() not in private
        assert base64.b64encode(secret)[:40] not in private


def test_two_freezes_of_one_campaign_share_nothing_that_was_drawn(home: Path, frozen: Frozen) -> None:
    other = freeze(write(home, {**CAMPAIGN, "trials_per_cell": 3}), home / "out", now=NOW)
    for name in ("campaign_id", "commitment", "signing_key", "admin_key"):
        assert getattr(other.plan, name) != getattr(frozen.plan, name)
    assert not {slot.trial for slot in other.plan.slots} & {slot.trial for slot in frozen.plan.slots}
    assert other.made_key
    assert other.admin_key == home / "out" / "private" / "admin.key"
    assert any("private/admin.key" in line and "neither runs nor judges" in line for line in other.warnings)
    with refused(Sealed, "does not open"):
        open_sealed(frozen.folder, other.admin_key)


def test_an_admins_key_of_either_half_is_used_and_another_one_made(home: Path) -> None:
    private = key_file(home / "admin.key")
    public = home / "admin.pub"
    key = X25519PrivateKey.from_private_bytes(b"k" * 32).public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for number, path in enumerate((private, public)):
        made = freeze(home / "c.json", home / f"out{number}", now=NOW, admin_key=path)
        assert not made.made_key
        assert made.plan.admin_key == public_half(b"k" * 32).hex()
        assert not any("neither runs" in line for line in made.warnings)
        check_opening(made.plan, open_sealed(made.folder, private))
        with refused(Sealed, "no private key"):
            public.chmod(0o600)
            open_sealed(made.folder, public)


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PRIVATE KEY-----"]
)
def test_what_is_no_key_is_refused_before_anything_is_made(home: Path, text: str) -> None:
    path = home / "admin.key"
    path.write_text(text)
    path.chmod(0o600)
    with refused(Sealed, "admin.key", "X25519"):
        freeze(home / "c.json", home / "out", now=NOW, admin_key=path)
    assert not (home / "out").exists()


def test_keys_of_another_kind_with_a_passphrase_or_open_to_others_are_refused(home: Path) -> None:
    path = home / "admin.key"
    other = Ed25519PrivateKey.generate()
    locked = BestAvailableEncryption(b"secret")
    contents = [
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ]
    for content in contents:
        path.write_bytes(content)
        path.chmod(0o600)
        with refused(Sealed, "admin.key", "Ed25519"):
            read_admin_public(path)
    path.write_bytes(X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    with refused(Sealed, "admin.key", "passphrase"):
        read_admin_private(path)
    key_file(path).chmod(0o644)
    with refused(PrivateFileError, "admin.key", "chmod 600"):
        read_admin_public(path)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on this machine")
def test_keys_are_openssls(tmp_path: Path) -> None:
    private, public = tmp_path / "admin.key", tmp_path / "admin.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "x25519", "-out", private], check=True, timeout=30)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, timeout=30)
    private.chmod(0o600)
    assert read_admin_public(public) == read_admin_public(private) == public_half(read_admin_private(private))


def with_campaign(path: str, value: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(CAMPAIGN))
    place = document
    *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in way:
        place = place[key]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("robot", "so100", ("campaign.robot: unknown embodiment 'so100'",)),
        ("robot", "mine.json", ("campaign.robot:", "mine.json", "cannot be read")),
        ("policies/0/source", "theirs", ("campaign.policies[0].source:", "no bundle.json")),
        ("policies/0/source", "photos", ("campaign.policies[0].source:", "no bundle.json")),
        ("policies/0/source", "python:no_such:make", ("campaign.policies[0].source:", "PYTHONPATH")),
        ("policies/0/refinement_rounds", 2, ("campaign.policies[0].refinement_rounds: expected one of 0, 1", "got 2")),
        ("robot", "g1_o6", ("campaign.policies[0].source: ours drives so101, not g1_o6",)),
        ("layouts/0/photo", "photos/lefd.png", ("campaign.layouts[0].photo:", "did you mean left.png?")),
        ("layouts/0/photo", "c.json", ("campaign.layouts[0].photo:", "JPEG or PNG")),
        ("layouts/0/photo", "", ("campaign.layouts[0].photo: missing",)),
    ],
)
def test_what_a_campaign_names_wrongly_is_said_with_its_place(
    home: Path, path: str, value: Any, words: tuple[str, ...]
) -> None:
    document = with_campaign(path, value)
    if path == "layouts/0/photo" and not value:
        document["layouts"][0]["photo_sha256"] = "0" * 64
    if path.startswith("policies/0/source"):
        document["policies"][0]["refinement_rounds"] = 0
    before = tree(home)
    with refused(BadCampaign, *words):
        freeze(write(home, document), home / "a" / "out", now=NOW)
    assert tree(home) == before


@pytest.mark.parametrize("path", ["policies/0/sha256", "layouts/0/photo_sha256", "robot_sha256"])
def test_a_declared_hash_that_is_another_one_is_refused(home: Path, path: str) -> None:
    with refused(BundleChanged, "campaign.", "0000"):
        freeze(write(home, with_campaign(path, "0" * 64)), home / "out", now=NOW)


def test_declared_hashes_that_fit_are_taken_and_an_openpi_servers_cannot_be_checked(home: Path, frozen: Frozen) -> None:
    document = with_campaign("policies/1/sha256", "e" * 64)
    document["policies"][0]["sha256"] = frozen.plan.campaign.policies[0].sha256
    document["robot_sha256"] = frozen.plan.campaign.robot_sha256
    made = freeze(write(home, document), home / "out", now=NOW)
    assert [policy.sha256 for policy in made.plan.campaign.policies] == [document["policies"][0]["sha256"], "e" * 64]


def test_folders_in_use_are_left_alone(home: Path, frozen: Frozen) -> None:
    before = tree(frozen.folder)
    with refused(BadCampaign, "holds a frozen campaign already"):
        freeze(home / "c.json", frozen.folder, now=NOW)
    assert tree(frozen.folder) == before
    with refused(BadCampaign, "is not empty"):
        freeze(home / "c.json", home, now=NOW)
    with refused(BadCampaign, "no folder"):
        freeze(home / "c.json", home / "c.json", now=NOW)
    (home / "link").symlink_to(home / "nowhere")
    with refused(BadCampaign, "no folder"):
        freeze(home / "c.json", home / "link", now=NOW)
    with refused(BadCampaign, "cannot be made"):
        freeze(home / "c.json", home / "c.json" / "out", now=NOW)
    with refused(BadCampaign, "no folder"):
        freeze(home / "c.json", home / "out", now=NOW, admin_key=home / "nowhere" / "admin.key")
    (home / "empty").mkdir()
    assert freeze(home / "c.json", home / "empty", now=NOW).folder == home / "empty"


STEPS = (
    (freezing, "_write_public"),
    (freezing, "_write_private"),
    (freezing, "_begin_log"),
    (freezing, "put_in_place"),
    (whole_folder, "_sync"),
    (freezing, "write_private"),
)


@pytest.fixture(params=STEPS, ids=lambda step: step[1])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One step of freezing that does not work, as on a full disk; `write_private` at its last file."""
    module, step = request.param
    works = getattr(module, step)
    calls = 0

    def fails(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if step == "write_private" and args[0].name != "admin.key":
            return works(*args, **options)
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module, step, fails)
    yield step
    assert calls


@pytest.mark.parametrize("admin_key", [None, "admin.key"])
def test_a_campaign_is_frozen_whole_or_not_at_all(home: Path, failing: str, admin_key: str | None) -> None:
    before = tree(home)
    with refused(BadCampaign, "out", "No space left", "nothing was frozen"):
        freeze(home / "c.json", home / "a" / "b" / "out", now=NOW, admin_key=home / admin_key if admin_key else None)
    assert tree(home) == before


def test_a_complete_campaign_is_opened_and_the_log_says_so(home: Path) -> None:
    made = freeze(home / "c.json", home / "out", now=NOW, admin_key=home / "admin.key")
    score_all(made.folder, keep=1)
    with refused(NotNow, "1 of 2 trials have no score yet"):
        unblind(made.folder, made.admin_key)
    assert load_unblinded(made.folder) is None
    shutil.rmtree(made.folder)
    made = freeze(home / "c.json", home / "out", now=NOW, admin_key=home / "admin.key")
    score_all(made.folder)
    with refused(Sealed, "does not open"):
        unblind(made.folder, key_file(home / "other.key", b"o" * 32))
    opened = unblind(made.folder, made.admin_key, by=ADA.name)
    assert sorted(opened.policies) == ["ours", "theirs"]
    secrets = load_secrets(made.folder)
    assert [["ours", "theirs"][policy_of(made.plan, secrets, slot)] for slot in range(2)] == list(opened.policies)
    assert load_unblinded(made.folder) == opened
    # Cut off between log and file, and called again by somebody else: the same, and one event.
    (made.folder / "unblinded.json").unlink()
    assert unblind(made.folder, made.admin_key, by=EVE.name) == opened
    store = EvaluationStore.open(made.folder)
    try:
        last = store.book.last
        assert last is not None
        assert (last.command, last.actor) == (Opened(), ADA.name)
    finally:
        store.close()


def test_an_opening_that_does_not_open_the_plan_is_no_opening(home: Path, frozen: Frozen) -> None:
    folder = home / "copy"
    shutil.copytree(frozen.folder, folder)
    opening = open_sealed(folder, frozen.admin_key)
    other = msgspec.structs.replace(opening, seed="0" * 64)
    (folder / "unblinded.json").write_bytes(msgspec.json.encode(other))
    with refused(Tampered, "plan.commitment"):
        load_unblinded(folder)
    (folder / "unblinded.json").write_bytes(b'{"seed": 1}')
    with refused(Tampered, "unblinded.json", "unblinded.seed"):
        load_unblinded(folder)
    (folder / "unblinded.json").write_bytes(b"{")
    with refused(Tampered, "unblinded.json", "not JSON"):
        load_unblinded(folder)


def test_a_plan_that_was_changed_is_not_opened(home: Path, frozen: Frozen) -> None:
    folder = home / "copy"
    shutil.copytree(frozen.folder, folder)
    content = (folder / "plan.json").read_bytes()
    (folder / "plan.json").write_bytes(
        content.replace(b'"success":"one in the other"', b'"success":"one near the other"')
    )
    with refused(Tampered, "plan.commitment", "changed after it was published"):
        open_sealed(folder, frozen.admin_key)


def test_files_of_two_campaigns_do_not_mix(home: Path, frozen: Frozen) -> None:
    other = freeze(home / "c.json", home / "out", now=NOW, admin_key=frozen.admin_key)
    folder = home / "copy"
    shutil.copytree(frozen.folder, folder)
    shutil.copy(other.folder / "sealed.json", folder)
    with refused(Tampered, "sealed.json", "another campaign"):
        open_sealed(folder, frozen.admin_key)
    sealed = json.loads((folder / "sealed.json").read_bytes())
    sealed["campaign_id"] = frozen.plan.campaign_id
    (folder / "sealed.json").write_text(json.dumps(sealed))
    with refused(Sealed, "does not open"):
        open_sealed(folder, frozen.admin_key)
    (folder / "sealed.json").write_text(json.dumps({**sealed, "box": "xyz"}))
    with refused(Tampered, "sealed.json", "hexadecimal"):
        open_sealed(folder, frozen.admin_key)
    shutil.copy(other.folder / "private" / "service.json", folder / "private")
    with refused(Tampered, "service.json", "another campaign"):
        load_secrets(folder)


def test_secrets_that_are_not_there_open_to_others_or_too_short(home: Path, frozen: Frozen) -> None:
    folder = home / "copy"
    shutil.copytree(frozen.folder, folder)
    path = folder / "private" / "service.json"
    path.chmod(0o644)
    with refused(Sealed, "service.json", "chmod 600"):
        load_secrets(folder)
    path.chmod(0o600)
    short = {**json.loads(path.read_text()), "redo_key": base64.b64encode(b"x").decode()}
    path.write_text(json.dumps(short))
    with refused(Tampered, "service.json", "redo_key: expected 32 bytes, got 1"):
        load_secrets(folder)
    path.unlink()
    with refused(NotFound, "service.json", "only the machine that runs"):
        load_secrets(folder)


def test_a_plan_that_is_not_as_it_was_written_is_refused(home: Path, frozen: Frozen) -> None:
    folder = home / "copy"
    folder.mkdir()
    with refused(NotFound, "plan.json", "unichunk eval plan"):
        load_plan(folder)
    content = (frozen.folder / "plan.json").read_bytes()
    document = json.loads(content)
    path = folder / "plan.json"
    path.write_text(json.dumps(document))
    with refused(Tampered, "not canonical"):
        load_plan(folder)
    path.write_bytes(content[:-10])
    with refused(Tampered, "plan.json", "not JSON"):
        load_plan(folder)
    path.write_bytes(content.replace(b'"format":1', b'"format":2'))
    with refused(Tampered, "format: expected 1, got 2"):
        load_plan(folder)
    path.write_bytes(content.replace(b'"slot":1,', b'"slot":3,'))
    with refused(Tampered, "slots[1].slot: expected 1, got 3"):
        load_plan(folder)
    path.write_bytes(content.replace(b'{"layout":"left"', b'{"layout":"lefd"', 1))
    with refused(Tampered, "slots[0].layout: 'lefd' is no layout"):
        load_plan(folder)
    path.write_bytes(content.replace(b'"trials_per_cell":3', b'"trials_per_cell":0'))
    with refused(Tampered, "plan.campaign.trials_per_cell"):
        load_plan(folder)
