"""What is derived from the seed of a campaign: the keys of the running service, and opaque ids.

One seed, several keys, by HKDF-SHA256 (RFC 5869): who has one of the keys knows nothing of the seed or of the others.
Whoever has the seed after the opening derives all of them again and can check everything that was drawn with them.

The key that signs the log is not among them. The seed is published in the end, and nobody shall be able to write a log
of their own from it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets
from unichunk.server.evaluation.planning.stream import KEY_BYTES

ID_BYTES: Final = 10
"""80 bits: two of a million ids are the same with a probability of 4e-13."""

_DOMAIN: Final = b"unichunk evaluation 1: "


@dataclass(frozen=True)
class DerivedKeys:
    """All keys that follow from the seed, 32 bytes each.

    Attributes:
        schedule: Draws the order of trials; nobody needs it while the campaign runs.
        map_key: Seals which slot is which policy.
        id_key: Makes opaque ids.
        redo_key: Draws where a voided trial is done again.
    """

    schedule: bytes
    map_key: bytes
    id_key: bytes
    redo_key: bytes


def derive_keys(seed: bytes) -> DerivedKeys:
    """All keys of a seed.

    Args:
        seed: 32 random bytes.

    Raises:
        ValueError: For a seed of another length.
    """
    if len(seed) != KEY_BYTES:
        raise ValueError(f"seed of a campaign: expected {KEY_BYTES} bytes, got {len(seed)}")
    return DerivedKeys(
        schedule=_derived(seed, b"schedule"),
        map_key=_derived(seed, b"map"),
        id_key=_derived(seed, b"ids"),
        redo_key=_derived(seed, b"redo"),
    )


def service_secrets(keys: DerivedKeys, signing_key: bytes) -> ServiceSecrets:
    """What the service gets: enough to run the trials, not the seed.

    It can open the policy of every slot: whoever may read its files is not blinded.

    Args:
        keys: Of the campaign.
        signing_key: Private Ed25519 key of the log, 32 bytes, random.
    """
    return ServiceSecrets(map_key=keys.map_key, id_key=keys.id_key, redo_key=keys.redo_key, signing_key=signing_key)


def opaque_id(id_key: bytes, *parts: str) -> str:
    """An id that tells nothing to those without the key, and is the same whenever it is made again.

    Args:
        id_key: Of the campaign.
        parts: What it stands for: `"video"`, the id of a trial.

    Returns:
        16 characters of a-z and 2-7.
    """
    # With lengths: ("ab", "c") and ("a", "bc") are different things.
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return base64.b32encode(hmac.digest(id_key, message, hashlib.sha256)[:ID_BYTES]).decode().lower()


def trial_id(id_key: bytes, slot: int, attempt: int = 0) -> str:
    """Opaque id of a trial.

    Args:
        id_key: Of the campaign.
        slot: Number of the slot that it counts for.
        attempt: 0 for the slot's first trial, 1 where that was voided, and so on.
    """
    return opaque_id(id_key, "trial", str(slot), str(attempt))


def campaign_id(id_key: bytes) -> str:
    """Opaque id of the campaign itself."""
    return opaque_id(id_key, "campaign")


def _derived(seed: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_DOMAIN + purpose).derive(seed)
