"""Where a peer is."""

from __future__ import annotations

import ipaddress


def is_here(address: str) -> bool:
    """Whether a peer is on this machine.

    Args:
        address: As its socket says it, without the port; empty for a Unix socket.
    """
    try:
        return not address or ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
