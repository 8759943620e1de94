"""Where a peer is."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_PORT: Final = re.compile(r":\d*\Z", re.ASCII)


def is_here(address: str) -> bool:
    """Whether a peer is on this machine.

    Args:
        address: As its socket says it, without the port; empty for a Unix socket.
    """
    try:
        return not address or ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether a host is given by its address, not by a name.

    Args:
        host: As a request's header says it, with a port or without.
    """
    try:
        ipaddress.ip_address(_PORT.sub("", host).removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
