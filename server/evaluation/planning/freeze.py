"""From a campaign's file to the folder of a frozen campaign."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unichunk.server.evaluation.errors import BadCampaign
from unichunk.server.evaluation.planning import folder as names
from unichunk.server.evaluation.planning.admin_key import WHAT, admin_key_text, read_admin_public
from unichunk.server.evaluation.planning.campaign_checks import warnings
from unichunk.server.evaluation.planning.campaign_file import read_campaign
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.commitment import (
    Opening,
    check_opening,
    commitment_of,
    draw_slots,
    published,
)
from unichunk.server.evaluation.planning.filled_in import fill_in
from unichunk.server.evaluation.planning.keys import campaign_id, derive_keys, service_secrets
from unichunk.server.evaluation.planning.opening import seal_opening
from unichunk.server.evaluation.planning.places import Places
from unichunk.server.evaluation.planning.plan import Plan
from unichunk.server.evaluation.planning.seal import public_half
from unichunk.server.evaluation.planning.stream import KEY_BYTES
from unichunk.server.evaluation.planning.whole_folder import MODE, folder_beside, put_in_place, refuse_used
from unichunk.server.private_file import write_private

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.planning.photo import Photo
    from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets
    from unichunk.server.remote.credentials import Credentials

ADVICE: Final = (
    "move it to somebody who neither runs nor judges trials, and leave no copy: it opens the campaign at any time"
)

_PUBLIC: Final = 0o644


@dataclass(frozen=True)
class Frozen:
    """A campaign that is ready for its first trial.

    Attributes:
        plan: What was frozen.
        folder: Where.
        admin_key: File of the key that opens it.
        made_key: Whether that key was made now.
        warnings: What is worth a second look before the commitment is published, a line each.
    """

    plan: Plan
    folder: Path
    admin_key: Path
    made_key: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Drawn:
    """A plan with all that belongs to it."""

    plan: Plan
    opening: Opening
    secrets: ServiceSecrets


def freeze(
    campaign_path: Path,
    out: Path,
    *,
    now: datetime,
    admin_key: Path | None = None,
    database: str | None = None,
    credentials: Credentials | None = None,
) -> Frozen:
    """Freeze a campaign: hash what it names, draw its schedule, seal the seed, begin its log.

    The folder is there whole in the end, or not at all.

    Args:
        campaign_path: TOML or JSON.
        out: The folder; not there yet, or empty.
        now: With a time zone.
        admin_key: File of an X25519 key, either half; made where there is none. None: made within the folder.
        database: URL of a PostgreSQL database; None: SQLite in the folder.
        credentials: For lean servers whose hashes are asked for.

    Raises:
        BadCampaign: Where the campaign cannot be planned as it is written, or the folder is in use or takes nothing.
        BundleChanged: Where a hash was declared and is another one.
        PrivateFileError, Sealed: Where the admin's key cannot be used or made.
        StoreUnavailable: Where the database takes nothing.
    """
    refuse_used(out, names.PLAN)
    campaign = read_campaign(campaign_path)
    home = campaign_path.absolute().parent
    filled = fill_in(campaign, home, credentials)
    made_key, private, public = _admin_key(admin_key)
    drawn = _draw(filled.campaign, public, now)
    key_path = out / names.ADMIN_KEY if admin_key is None else admin_key
    with folder_beside(out) as stage:
        _write_public(stage, drawn, filled.photos)
        _write_private(stage, drawn, Places(campaign_folder=str(home)))
        _begin_log(stage, drawn, database)
        if made_key:
            # Before the plan is there: no plan without the key that opens it.
            target = stage / names.ADMIN_KEY if admin_key is None else admin_key
            write_private(target, admin_key_text(private), WHAT, new=True)
        try:
            put_in_place(stage, out)
        except BaseException:
            if made_key and admin_key is not None:
                admin_key.unlink(missing_ok=True)
            raise
    said = list(warnings(filled.campaign))
    if made_key or key_path.is_relative_to(out):
        said.append(f"{key_path}: {ADVICE}")
    return Frozen(drawn.plan, out, key_path, made_key, tuple(said))


def _admin_key(path: Path | None) -> tuple[bool, bytes, bytes]:
    """Whether it has to be made; then the private half, and the public one in any case."""
    if path is not None and path.exists():
        return False, b"", read_admin_public(path)
    if path is not None and not path.absolute().parent.is_dir():
        raise BadCampaign(f"admin key {path}: no folder {path.parent}; make it, or choose another place")
    private = secrets.token_bytes(KEY_BYTES)
    return True, private, public_half(private)


def _draw(campaign: Campaign, admin_key: bytes, now: datetime) -> _Drawn:
    seed, salt, signing_key = (secrets.token_bytes(KEY_BYTES) for _ in range(3))
    keys = derive_keys(seed)
    public = Ed25519PrivateKey.from_private_bytes(signing_key).public_key().public_bytes_raw()
    plan = Plan(
        campaign=campaign,
        campaign_id=campaign_id(keys.id_key),
        slots=draw_slots(campaign, keys),
        commitment="0" * 64,
        signing_key=public.hex(),
        admin_key=admin_key.hex(),
        frozen_at=now.isoformat(timespec="seconds"),
    )
    plan = msgspec.structs.replace(plan, commitment=commitment_of(plan, seed, salt))
    opening = Opening(seed=seed.hex(), salt=salt.hex(), map_key=keys.map_key.hex())
    check_opening(plan, opening)
    return _Drawn(plan, opening, service_secrets(keys, signing_key))


def _write_public(stage: Path, drawn: _Drawn, photos: tuple[Photo, ...]) -> None:
    _write(stage / names.PLAN, drawn.plan)
    _write(stage / names.COMMITMENT, published(drawn.plan))
    _write(stage / names.SEALED, seal_opening(drawn.plan, drawn.opening, secrets.token_bytes(KEY_BYTES)))
    folder = stage / names.PHOTOS
    folder.mkdir(mode=MODE)
    for photo in photos:
        write_private(folder / photo.name, photo.content, "photo", mode=_PUBLIC)


def _write_private(stage: Path, drawn: _Drawn, places: Places) -> None:
    (stage / names.PRIVATE).mkdir(mode=0o700)
    _write(stage / names.SERVICE, drawn.secrets, mode=0o600)
    _write(stage / names.PLACES, places, mode=0o600)


def _write(path: Path, document: msgspec.Struct, mode: int = _PUBLIC) -> None:
    write_private(path, canonical_json(document) + b"\n", path.name, mode=mode)


def _begin_log(stage: Path, drawn: _Drawn, database: str | None) -> None:
    # Only here: the store reads what is planned, and planning has no need of it but this one.
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore  # noqa: PLC0415

    EvaluationStore.create(stage, drawn.plan, drawn.secrets, database).close()
