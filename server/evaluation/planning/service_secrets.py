"""What the running service has to know of a plan's secrets, and no more."""

from __future__ import annotations

import msgspec


class ServiceSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """All but the signing key are derived from the seed, which is sealed to the admin key alone.

    Attributes:
        map_key: Opens `sealed_policy` of every slot, 32 bytes.
        id_key: Makes the opaque ids of trials, 32 bytes.
        redo_key: Draws where a voided trial is done again, 32 bytes.
        signing_key: Private Ed25519 key of the log, 32 bytes, random: the seed is published in the end.
    """

    map_key: bytes
    id_key: bytes
    redo_key: bytes
    signing_key: bytes
