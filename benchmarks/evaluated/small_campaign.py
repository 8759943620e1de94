"""A small campaign, frozen in a folder the way `unichunk eval plan` does it, for what is done to it afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unichunk.server.evaluation.ledger.actor import Actor
from unichunk.server.evaluation.planning.campaign import (
    Blinding,
    Campaign,
    Layout,
    PolicyEntry,
    Randomization,
    Rules,
    Task,
)
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.commitment import Opening, commitment_of, draw_slots, published
from unichunk.server.evaluation.planning.keys import campaign_id, derive_keys, service_secrets
from unichunk.server.evaluation.planning.opening import seal_opening
from unichunk.server.evaluation.planning.plan import Plan
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets

ANN = Actor("ann", Role.OPERATOR)
BOB = Actor("bob", Role.OPERATOR)
RAY = Actor("ray", Role.RATER)
ADA = Actor("ada", Role.ADMIN)
EVE = Actor("eve", Role.ADMIN)


@dataclass(frozen=True)
class Small:
    """A plan, what the service knows of it, and what opens it."""

    plan: Plan
    secrets: ServiceSecrets
    opening: Opening


def small(
    *,
    trials_per_cell: int = 1,
    policies: int = 2,
    policy_death: str = "void",
    randomization: Randomization = Randomization.REPLICATE_BLOCKS,
    number: int = 0,
) -> Small:
    """A campaign of two layouts for two tasks; `number` makes another one of the same kind."""
    tasks = (
        Task(name="stack", instruction="stack the cups", success="one in the other", rubric=("grasped", "lifted")),
        Task(name="push", instruction="push the cube", success="over the line"),
    )
    campaign = Campaign(
        name="cups",
        robot="so101",
        policies=tuple(
            PolicyEntry(name=f"policy {index}", source="python:x:y", sha256=f"{index:064x}")
            for index in range(policies)
        ),
        tasks=tasks,
        layouts=(Layout(name="left", task="stack"), Layout(name="right", task="push")),
        trials_per_cell=trials_per_cell,
        randomization=randomization,
        blinding=Blinding(guesses=True),
        rules=msgspec.convert({"policy_death": policy_death, "second_rater": True, "preferences": True}, type=Rules),
    )
    seed, salt, signing = (hashlib.sha256(f"{what} {number}".encode()).digest() for what in ("seed", "salt", "sign"))
    keys = derive_keys(seed)
    public = Ed25519PrivateKey.from_private_bytes(signing).public_key().public_bytes_raw().hex()
    plan = Plan(
        campaign=campaign,
        campaign_id=campaign_id(keys.id_key),
        slots=draw_slots(campaign, keys),
        commitment="0" * 64,
        signing_key=public,
        admin_key="a" * 64,
        frozen_at="2026-01-01T00:00:00Z",
    )
    plan = msgspec.structs.replace(plan, commitment=commitment_of(plan, seed, salt))
    opening = Opening(seed=seed.hex(), salt=salt.hex(), map_key=keys.map_key.hex())
    return Small(plan, service_secrets(keys, signing), opening)


def write_folder(campaign: Small, folder: Path) -> Path:
    """The files of the plan; the database is made by `EvaluationStore.create`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_bytes(canonical_json(campaign.plan) + b"\n")
    (folder / "commitment.json").write_bytes(canonical_json(published(campaign.plan)) + b"\n")
    sealed = seal_opening(campaign.plan, campaign.opening, hashlib.sha256(b"ephemeral").digest())
    (folder / "sealed.json").write_bytes(canonical_json(sealed) + b"\n")
    return folder
