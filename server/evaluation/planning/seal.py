"""Sealing: what only the admin's key opens, and which policy a slot is.

A *sealed box* is for the holder of a private X25519 key: anybody can close it, only they can open it (an ephemeral key,
X25519, HKDF-SHA256 over the shared secret and both public keys, ChaCha20-Poly1305; the construction of RFC 9180 without
its options). The *seal of a slot* is ChaCha20-Poly1305 under the campaign's map key with the slot's number as nonce; it
is as long for one policy as for another and different for every slot, so that nobody can count or compare. Campaign,
slot, trial and layout are authenticated with it: a seal that was moved to another slot does not open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from unichunk.server.evaluation.errors import Sealed, Tampered

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.plan import PlannedSlot

PUBLIC_BYTES: Final = 32
"""Length of a public X25519 key."""

_NONCE_BYTES: Final = 12
_DOMAIN: Final = b"unichunk evaluation 1 sealed box: "


def public_half(private: bytes) -> bytes:
    """The public X25519 key of a private one; 32 bytes each."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def close_box(content: bytes, to: bytes, context: str, ephemeral: bytes) -> bytes:
    """Seal something to a public key.

    Args:
        content: What.
        to: Public X25519 key of whoever may open it, 32 bytes.
        context: What it is for; only a box that is opened for the same thing opens.
        ephemeral: 32 fresh random bytes, never used for anything else.

    Returns:
        The box: the ephemeral public key, then what is encrypted.

    Raises:
        Sealed: For a public key with which nothing is secret (of small order).
    """
    key = X25519PrivateKey.from_private_bytes(ephemeral)
    public = key.public_key().public_bytes_raw()
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(to))
    except ValueError:
        raise Sealed(f"public key {to.hex()}: not an X25519 key that can keep a secret; make another one") from None
    return public + _box_cipher(shared, public, to, context).encrypt(bytes(_NONCE_BYTES), content, context.encode())


def open_box(box: bytes, private: bytes, context: str) -> bytes:
    """Open what was sealed to a key.

    Args:
        box: The box.
        private: Private X25519 key, 32 bytes.
        context: What it was sealed for.

    Raises:
        Sealed: Where it is not for this key or this context, or was changed.
    """
    key = X25519PrivateKey.from_private_bytes(private)
    mine = key.public_key().public_bytes_raw()
    public = box[:PUBLIC_BYTES]
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        return _box_cipher(shared, public, mine, context).decrypt(
            bytes(_NONCE_BYTES), box[PUBLIC_BYTES:], context.encode()
        )
    except (ValueError, InvalidTag):
        raise Sealed(
            f"the sealed box does not open with the key whose public half is {mine.hex()}: it is for another key, or "
            "was changed; use the admin key that the plan names"
        ) from None


def seal_policy(map_key: bytes, campaign_id: str, slot: int, trial: str, layout: str, policy: int) -> str:
    """Seal which policy a slot is.

    Args:
        map_key: Of this campaign alone, 32 bytes: the slot's number is the nonce.
        campaign_id: Opaque id of the campaign.
        slot: Number of the slot.
        trial: Opaque id of its first trial.
        layout: Name of its layout.
        policy: Index among the campaign's policies, 0 .. 255.

    Returns:
        Hexadecimal, 34 characters whichever policy it is.
    """
    about = _about(campaign_id, slot, trial, layout)
    return ChaCha20Poly1305(map_key).encrypt(slot.to_bytes(_NONCE_BYTES, "big"), bytes([policy]), about).hex()


def open_policy(map_key: bytes, campaign_id: str, slot: PlannedSlot) -> int:
    """Which policy a slot is, as its index.

    Raises:
        Tampered: Where the seal does not belong to this slot, campaign or key.
    """
    about = _about(campaign_id, slot.slot, slot.trial, slot.layout)
    try:
        sealed = bytes.fromhex(slot.sealed_policy)
        content = ChaCha20Poly1305(map_key).decrypt(slot.slot.to_bytes(_NONCE_BYTES, "big"), sealed, about)
    except (ValueError, InvalidTag):
        raise Tampered(
            f"slot {slot.slot}: its sealed policy does not open: the slot was changed, or the map key is another "
            "campaign's"
        ) from None
    return content[0]


def _box_cipher(shared: bytes, ephemeral: bytes, to: bytes, context: str) -> ChaCha20Poly1305:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=ephemeral + to, info=_DOMAIN + context.encode())
    return ChaCha20Poly1305(hkdf.derive(shared))


def _about(campaign_id: str, slot: int, trial: str, layout: str) -> bytes:
    # None of the first three can hold a line break, so that these lines can be read in one way only.
    return f"{campaign_id}\n{slot}\n{trial}\n{layout}".encode()
