"""What the pages are told when the service starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unichunk.server.usage_error import UsageError

KEY_BYTES: Final = 32


@dataclass(frozen=True)
class WebSettings:
    """How the pages are served.

    Attributes:
        cookie_key: Signs sessions, tokens and tickets, 32 random bytes; see `cookie_key.cookie_key`.
        secure: Whether browsers come by TLS: cookies then go by nothing else.
        session_s: How long somebody stays signed in, [s].
        ticket_s: How old the page may be from which a robot is set in motion, [s].
        picture_s: How long to wait between two live pictures, [s].
    """

    cookie_key: bytes
    secure: bool = False
    session_s: float = 12 * 3600.0
    ticket_s: float = 10.0
    picture_s: float = 0.2

    def __post_init__(self) -> None:
        if len(self.cookie_key) != KEY_BYTES:
            raise UsageError(f"cookie_key: expected {KEY_BYTES} bytes, got {len(self.cookie_key)}")
        for name in ("session_s", "ticket_s", "picture_s"):
            if not (value := getattr(self, name)) > 0:
                raise UsageError(f"{name}: expected more than 0, got {value:g}")
