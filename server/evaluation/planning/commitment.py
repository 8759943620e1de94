"""The commitment to a plan: published before the first trial, opened after the last.

It is SHA-256 of a domain, a salt, the seed and the canonical JSON of the plan, so of the campaign with the hashes of
policies, photos and robot, of every slot with its sealed policy, and of the keys that sign and unseal.

What it shows, if it was published (in a repository, by mail, with a time stamp) before the first trial: that nothing of
this was changed afterwards. Another layout, K, time-out, test or bundle, another order, another policy in a slot would
need another document with the same SHA-256. Seed and salt have 256 bits each, so nobody can try out plans against it.
After the opening everybody can draw the schedule again from the seed, and see that the order was the seed's.

What it cannot show: that this plan was the first one drawn. Whoever draws many plans and takes the one that suits them
(*grinding*) can choose among random orders before the commitment, though not among results; whoever runs several
campaigns can open the best one only. Both show where commitments are published as they are made: one that is never
opened, or several for the same comparison, ask for an explanation. It cannot show either that the policies were what
their hashes say where a hash is declared only, that nobody read the files of the running service, or that the holder of
the admin's key did not open the box in secret: that key belongs to somebody who neither runs nor judges trials.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.server.evaluation.errors import Tampered
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.keys import DerivedKeys, campaign_id, derive_keys, trial_id
from unichunk.server.evaluation.planning.plan import FORMAT, Digest, OpaqueId, PlannedSlot
from unichunk.server.evaluation.planning.randomization import draw_schedule
from unichunk.server.evaluation.planning.seal import open_policy, seal_policy
from unichunk.server.evaluation.planning.stream import Stream

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.planning.plan import Plan

_DOMAIN: Final = b"unichunk evaluation 1 commitment\n"


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What opens a commitment; all hexadecimal, 32 bytes each.

    Attributes:
        seed: What everything was drawn from.
        salt: What keeps the commitment from being guessed.
        map_key: Opens the policy of every slot; it follows from the seed.
    """

    seed: Digest
    salt: Digest
    map_key: Digest


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is published before the first trial (`commitment.json`); attributes as in `Plan`."""

    format: int = FORMAT
    campaign_id: OpaqueId
    commitment: Digest
    signing_key: Digest
    admin_key: Digest
    frozen_at: str


def commitment_of(plan: Plan, seed: bytes, salt: bytes) -> str:
    """What commits to a plan.

    Args:
        plan: The plan; what stands for its commitment is of no importance.
        seed: 32 bytes.
        salt: 32 bytes.

    Returns:
        SHA-256, hexadecimal.
    """
    document: dict[str, Any] = msgspec.to_builtins(plan)
    del document["commitment"]
    # Seed and salt are always of this length, and JSON begins with a brace: the parts can be told apart.
    return hashlib.sha256(_DOMAIN + salt + seed + canonical_json(document)).hexdigest()


def draw_slots(campaign: Campaign, keys: DerivedKeys) -> tuple[PlannedSlot, ...]:
    """The slots of a campaign, as its keys draw, name and seal them.

    Args:
        campaign: What is tried.
        keys: Derived from the seed.
    """
    campaigns_id = campaign_id(keys.id_key)
    cells = draw_schedule(
        campaign.randomization,
        len(campaign.layouts),
        len(campaign.policies),
        campaign.trials_per_cell,
        Stream(keys.schedule, "schedule"),
    )
    slots = []
    for number, cell in enumerate(cells):
        trial, layout = trial_id(keys.id_key, number), campaign.layouts[cell.layout].name
        sealed = seal_policy(keys.map_key, campaigns_id, number, trial, layout, cell.policy)
        slots.append(PlannedSlot(slot=number, trial=trial, layout=layout, sealed_policy=sealed))
    return tuple(slots)


def published(plan: Plan) -> Published:
    """What is published of a plan."""
    return Published(**{name: getattr(plan, name) for name in Published.__struct_fields__})


def check_published(plan: Plan, was_published: Published) -> None:
    """Whether a plan is the one that was published; without its seed it is not known whether the commitment opens.

    Raises:
        Tampered: Where it is not.
    """
    for name in Published.__struct_fields__:
        theirs, ours = getattr(was_published, name), getattr(plan, name)
        if theirs != ours:
            raise Tampered(
                f"commitment.{name}: {theirs!r} was published, the plan says {ours!r}: one of them was changed"
            )


def check_opening(plan: Plan, opening: Opening) -> DerivedKeys:
    """Whether an opening opens a plan's commitment, and everything that was drawn was drawn from its seed.

    Returns:
        The keys of the seed, with which ids and redone trials can be checked, too.

    Raises:
        Tampered: Where it does not, or something was not.
    """
    seed, salt = bytes.fromhex(opening.seed), bytes.fromhex(opening.salt)
    found = commitment_of(plan, seed, salt)
    if found != plan.commitment:
        raise Tampered(
            f"plan.commitment: {plan.commitment[:12]}... was committed to, plan, seed and salt give {found[:12]}...: "
            "one of the three was changed after it was published"
        )
    keys = derive_keys(seed)
    if opening.map_key != keys.map_key.hex():
        raise Tampered("opening.map_key: not the one that follows from the seed: it was changed")
    if plan.campaign_id != campaign_id(keys.id_key):
        raise Tampered(f"plan.campaign_id: {plan.campaign_id} does not follow from the seed: it was chosen by hand")
    drawn = draw_slots(plan.campaign, keys)
    if len(drawn) != len(plan.slots):
        raise Tampered(f"plan.slots: expected {len(drawn)}, as the seed draws them, got {len(plan.slots)}")
    for ours, theirs in zip(drawn, plan.slots, strict=True):
        if ours != theirs:
            raise Tampered(f"plan.slots[{ours.slot}]: not what the seed draws: the order was chosen by hand")
    return keys


def schedule_of(plan: Plan, opening: Opening) -> tuple[int, ...]:
    """Which policy each slot is, as indices among the campaign's policies.

    Raises:
        Tampered: Where a seal does not open.
    """
    map_key = bytes.fromhex(opening.map_key)
    return tuple(open_policy(map_key, plan.campaign_id, slot) for slot in plan.slots)
