"""Who can reach an address that the server listens on: this machine alone, or others."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final

_TCP: Final = re.compile(r"tcp://(?:(?P<source>[^;]*);)?(?P<host>\[[^\]]*\]|[^\[\]:]*):(?P<port>[^:]*)")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on a host.

    Args:
        host: An address or a name, as `--host` has it. A name is looked up: all of its addresses have to be loopback.

    Returns:
        False in all doubt: empty (all interfaces), unknown names, interfaces.
    """
    name = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not name or not name.isprintable():
        return False
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError, ValueError):
        return False
    return bool(found) and all(_is_loopback(str(address)) for address in found)


def is_local_endpoint(endpoint: str) -> bool:
    """Whether only this machine can reach a ZeroMQ endpoint.

    Args:
        endpoint: `ipc://`, `inproc://` or `tcp://host:port`; in `tcp://eth0:5555` and `tcp://*:5555` the host is an
            interface, and no loopback address, unless it is `lo`.
    """
    if endpoint.startswith(("ipc://", "inproc://")):
        return True
    match = _TCP.fullmatch(endpoint)
    if match is None:
        return False
    interfaces = {name for _, name in socket.if_nameindex()}
    # ZeroMQ takes a name for an interface's first.
    return match["host"] == "lo" if match["host"] in interfaces else is_loopback(match["host"])


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
