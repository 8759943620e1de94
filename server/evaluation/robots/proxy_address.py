"""Where a robot of a campaign connects to."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from unichunk.runtime.errors import UnichunkError
from unichunk.server.remote.address import HTTP_PORT, Address

_PATH: Final = re.compile(r"/robot/[A-Za-z0-9._-]{1,64}")


def parse_proxy_address(text: str) -> Address:
    """Read the address of a robot's place at a campaign's service.

    Args:
        text: `ws://host:port/robot/NAME`, or `wss://...`.

    Raises:
        UnichunkError: Where it is none; one line.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _none(text) from None
    strange = parts.query or parts.fragment or parts.username is not None or not _PATH.fullmatch(parts.path)
    if parts.scheme not in {"ws", "wss"} or not host or "*" in host or strange:
        raise _none(text)
    secure = parts.scheme == "wss"
    return Address(text, "ws", host, port or HTTP_PORT, "", secure=secure, policy=parts.path[1:])


def _none(text: str) -> UnichunkError:
    return UnichunkError(
        f"--server {text[:200]!r}: expected ws://host:port/robot/NAME or wss://host:port/robot/NAME, as `unichunk eval "
        "serve` prints it"
    )
