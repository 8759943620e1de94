"""Text that the server signed, and knows again: cookies, tokens of forms, tickets."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

LONGEST: Final = 1024
"""Characters of a signed text that is looked at."""


def sign(key: bytes, purpose: str, content: bytes) -> str:
    """Content and its signature, as text that may stand in a cookie.

    Args:
        key: Secret.
        purpose: What for: a text that is signed for one purpose is worth nothing for another.
        content: Anything.
    """
    return f"{_text(content)}.{_text(_mac(key, purpose, content))}"


def read_signed(key: bytes, purpose: str, text: str | None) -> bytes | None:
    """The content of a signed text; None where it is not one of this key and purpose."""
    if text is None or len(text) > LONGEST or not text.isascii():
        return None
    encoded, _, signature = text.partition(".")
    try:
        content = base64.urlsafe_b64decode(_padded(encoded))
    except ValueError:
        return None
    # Compared as text: base64 has several ways to write the same bytes, and only one of them was signed.
    wanted = sign(key, purpose, content)
    return content if hmac.compare_digest(wanted, f"{encoded}.{signature}") else None


def digest(key: bytes, purpose: str, content: str) -> str:
    """A signature alone, as text."""
    return _text(_mac(key, purpose, content.encode()))


def _mac(key: bytes, purpose: str, content: bytes) -> bytes:
    # The purpose has no zero byte, so what is signed can be read in one way only.
    return hmac.new(key, purpose.encode() + b"\0" + content, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _padded(text: str) -> bytes:
    return (text + "=" * (-len(text) % 4)).encode()
