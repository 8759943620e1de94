"""Opening what was sealed: once, when every slot has its score, or when the campaign was ended early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.errors import NotNow, Tampered
from unichunk.server.evaluation.ledger.actor import Actor
from unichunk.server.evaluation.ledger.commands import EndedEarly, Opened
from unichunk.server.evaluation.planning import folder as names
from unichunk.server.evaluation.planning.admin_key import read_admin_private
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.commitment import Opening, check_opening, schedule_of
from unichunk.server.evaluation.planning.load import load_plan, load_secrets, parse_document, read_document
from unichunk.server.evaluation.planning.plan import FORMAT, Digest, OpaqueId
from unichunk.server.evaluation.planning.seal import close_box, open_box
from unichunk.server.private_file import write_private
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.planning.plan import Plan


class SealedOpening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The opening of a campaign, for the holder of the admin's key alone (`sealed.json`).

    Attributes:
        format: Of this document.
        campaign_id: Of the campaign.
        admin_key: Public X25519 key that it is sealed to, hexadecimal.
        box: The sealed box, hexadecimal.
    """

    format: int = FORMAT
    campaign_id: OpaqueId
    admin_key: Digest
    box: str


@dataclass(frozen=True)
class Unblinded:
    """An opened campaign.

    Attributes:
        plan: What was frozen.
        opening: Seed, salt and map key; checked against the commitment.
        policies: Name of each slot's policy, in the order of slots.
    """

    plan: Plan
    opening: Opening
    policies: tuple[str, ...]


def seal_opening(plan: Plan, opening: Opening, ephemeral: bytes) -> SealedOpening:
    """Seal what opens a plan to its admin's key.

    Args:
        plan: The plan.
        opening: What opens it.
        ephemeral: 32 fresh random bytes.
    """
    box = close_box(canonical_json(opening), bytes.fromhex(plan.admin_key), _context(plan), ephemeral)
    return SealedOpening(campaign_id=plan.campaign_id, admin_key=plan.admin_key, box=box.hex())


def open_sealed(folder: Path, admin_key: Path) -> Opening:
    """What the admin's key opens, checked against the plan; nothing is written.

    Args:
        folder: Of the campaign.
        admin_key: File of the private key.

    Raises:
        PrivateFileError, Sealed: Where the key cannot be read, or is another one.
        Tampered: Where what is sealed does not open the plan's commitment.
    """
    plan = load_plan(folder)
    box = read_sealed(folder, plan)
    content = open_box(box, read_admin_private(admin_key), _context(plan))
    opening = parse_document(content, Opening, folder / names.SEALED)
    check_opening(plan, opening)
    return opening


def read_sealed(folder: Path, plan: Plan) -> bytes:
    """The sealed box of a campaign, which only its admin's key opens.

    Args:
        folder: Of the campaign.
        plan: Its plan.

    Raises:
        NotFound: Where it is gone.
        Tampered: Where it is no box, or another campaign's.
    """
    path = folder / names.SEALED
    sealed = parse_document(read_document(path), SealedOpening, path)
    if (sealed.campaign_id, sealed.admin_key) != (plan.campaign_id, plan.admin_key):
        raise Tampered(f"{path}: it is another campaign's than {names.PLAN} beside it")
    try:
        return bytes.fromhex(sealed.box)
    except ValueError:
        raise Tampered(f"{path}: box: expected hexadecimal digits; it was changed") from None


def load_unblinded(folder: Path) -> Unblinded | None:
    """What was opened, checked against the plan; None where the campaign is still sealed.

    Raises:
        Tampered: Where it does not open the plan's commitment.
    """
    path = folder / names.UNBLINDED
    if not path.exists():
        return None
    opening = parse_document(read_document(path), Opening, path)
    plan = load_plan(folder)
    check_opening(plan, opening)
    return _unblinded(plan, opening)


def unblind(folder: Path, admin_key: Path, *, by: str = "admin", end_early: str | None = None) -> Unblinded:
    """Open a complete campaign, on the machine that ran it; the log says so before anybody reads it.

    May be called again: after an end in between, or to read what was opened.

    Args:
        folder: Of the campaign.
        admin_key: File of the private key.
        by: Who opens it, for the log.
        end_early: Why a campaign whose plan is not complete is ended first, for good; None: it stays sealed.

    Raises:
        NotNow: Where a slot has no score yet, and it was not ended; where it cannot be ended now.
        PrivateFileError, Sealed: Where the key cannot be read, or is another one.
        Tampered: Where the records contradict each other or the commitment.
        StoreUnavailable: Where the log cannot be written; the campaign stays sealed.
    """
    from unichunk.server.evaluation.store.evaluation_store import EvaluationStore  # noqa: PLC0415  (it imports this)

    opening = open_sealed(folder, admin_key)
    store = EvaluationStore.open(folder, load_secrets(folder))
    try:
        if not store.book.opened:
            if end_early is not None and store.book.ended is None:
                store.apply(Actor(by, Role.ADMIN), EndedEarly(reason=end_early), f"ended/{store.plan.campaign_id}")
            if not store.book.complete and store.book.ended is None:
                missing = len(store.plan.slots) - len(store.book.judged)
                raise NotNow(
                    f"{folder}: {missing} of {len(store.plan.slots)} trials have no score yet; it stays sealed"
                )
            store.apply(Actor(by, Role.ADMIN), Opened(), f"opened/{store.plan.campaign_id}")
        plan = store.plan
    finally:
        store.close()
    write_private(folder / names.UNBLINDED, canonical_json(opening) + b"\n", "the opening", mode=0o644)
    return _unblinded(plan, opening)


def _unblinded(plan: Plan, opening: Opening) -> Unblinded:
    policies = plan.campaign.policies
    return Unblinded(plan, opening, tuple(policies[policy].name for policy in schedule_of(plan, opening)))


def _context(plan: Plan) -> str:
    return f"opening of {plan.campaign_id}"
