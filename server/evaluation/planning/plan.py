"""A plan as it is frozen: the campaign with every hash filled in, its slots, and what binds everybody to it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from unichunk.server.evaluation.planning.campaign import Campaign  # noqa: TC001  (read at run time)

FORMAT: Final = 1

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
OpaqueId = Annotated[str, Meta(pattern=r"\A[a-z2-7]{16}\Z")]


class PlannedSlot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the trials that have to be scored: K per cell. Public but for its policy, which is sealed.

    Attributes:
        slot: Its number in the drawn order, from 0.
        trial: Opaque id of its first trial.
        layout: Name of the layout.
        sealed_policy: Which policy it is, encrypted with the campaign's map key (hexadecimal, the same length for
            all), bound to the slot's number.
    """

    slot: Annotated[int, Meta(ge=0)]
    trial: OpaqueId
    layout: str
    sealed_policy: Annotated[str, Meta(pattern=r"\A[0-9a-f]+\Z")]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen plan; nothing in it is secret.

    Operators should not see it while the campaign runs all the same: a trial whose id is not in it is the repetition of
    a void one, and so of the same policy. What is published before the first trial is `commitment.json`.

    Attributes:
        format: Of this document.
        campaign: With the hashes of policies and photos.
        campaign_id: Opaque id of the campaign.
        slots: In the order that was drawn.
        commitment: SHA-256 of salt, seed, and the canonical JSON of everything else here: who has it can check after
            the opening that nothing was changed.
        signing_key: Public Ed25519 key of the log, hexadecimal.
        admin_key: Public X25519 key that the seed is sealed to, hexadecimal.
        frozen_at: UTC, ISO 8601.
    """

    format: int = FORMAT
    campaign: Campaign
    campaign_id: OpaqueId
    slots: tuple[PlannedSlot, ...]
    commitment: Digest
    signing_key: Digest
    admin_key: Digest
    frozen_at: str
