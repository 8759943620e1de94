"""The key that opens a campaign in the end: X25519, in PEM form, as `openssl genpkey -algorithm x25519` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from unichunk.server.evaluation.errors import Sealed
from unichunk.server.private_file import read_private

if TYPE_CHECKING:
    from pathlib import Path

WHAT: Final = "admin key"

_PRIVATE: Final = b"PRIVATE KEY-----"
_HOW: Final = "expected an X25519 key in PEM form (`openssl genpkey -algorithm x25519 -out admin.key` makes one)"


def admin_key_text(private: bytes) -> bytes:
    """The file of a private key.

    Args:
        private: 32 random bytes.
    """
    key = X25519PrivateKey.from_private_bytes(private)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_admin_public(path: Path) -> bytes:
    """The public half of a key, from a file with either half; 32 bytes.

    Raises:
        PrivateFileError: Where the file cannot be read, or others may read a private key.
        Sealed: Where it holds no such key.
    """
    content, _ = read_private(path, WHAT, secret=False)
    if _PRIVATE in content:
        return X25519PrivateKey.from_private_bytes(read_admin_private(path)).public_key().public_bytes_raw()
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise Sealed(f"{WHAT} {path}: {_HOW}") from None
    if not isinstance(key, X25519PublicKey):
        raise Sealed(f"{WHAT} {path}: {_HOW}, got {type(key).__name__}")
    return key.public_bytes_raw()


def read_admin_private(path: Path) -> bytes:
    """The private half of a key; 32 bytes.

    Raises:
        PrivateFileError: Where the file cannot be read, or others may read it.
        Sealed: Where it holds no such key, or only the public half.
    """
    content, _ = read_private(path, WHAT)
    if _PRIVATE not in content:
        raise Sealed(f"{WHAT} {path}: no private key in it; {_HOW}")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise Sealed(f"{WHAT} {path}: needs a passphrase; decrypt it first: openssl pkey -in {path}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Sealed(f"{WHAT} {path}: {_HOW}") from None
    if not isinstance(key, X25519PrivateKey):
        raise Sealed(f"{WHAT} {path}: {_HOW}, got {type(key).__name__}")
    return key.private_bytes_raw()
