"""Addresses: where a driver is by default, which addresses exist, and how its streams' addresses follow from one."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from unichunk.embodiments.errors import LinkError

MAX_IPC_PATH: Final = 95
"""A Unix socket's path ends at 107 bytes; what is left is for the streams' suffixes."""

_IPC: Final = re.compile(r"ipc://(?P<path>/[^\0]+)")
_TCP: Final = re.compile(r"tcp://(?P<host>[A-Za-z0-9_.*-]+):(?P<port>\d+|\*)")


def default_endpoint(name: str) -> str:
    """Where the driver of an embodiment is unless somebody says otherwise: a socket of this user's on this host.

    Args:
        name: The embodiment's name.

    Raises:
        LinkError: Where even the temporary folder's path is too long for a socket.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        endpoint = f"ipc://{runtime}/unichunk-{name}.ipc"
        if len(endpoint) <= MAX_IPC_PATH:
            return endpoint
    # The temporary folder is everybody's: the user's number keeps two users apart.
    return check_endpoint(f"ipc://{tempfile.gettempdir()}/unichunk-{os.getuid()}-{name}.ipc")


def check_endpoint(endpoint: str) -> str:
    """Check an address as a user gives it, and return it.

    Raises:
        LinkError: Where it is no address that the link knows.
    """
    if match := _IPC.fullmatch(endpoint):
        if len(os.fsencode(match["path"])) > MAX_IPC_PATH:
            raise LinkError(f"endpoint {endpoint}: the path is longer than {MAX_IPC_PATH} bytes, choose a shorter one")
        return endpoint
    match = _TCP.fullmatch(endpoint)
    if match is None or (match["port"] != "*" and int(match["port"]) > 65535):
        raise LinkError(f"endpoint {endpoint!r}: expected ipc:///absolute/path or tcp://host:port")
    return endpoint


def check_peer(endpoint: str) -> str:
    """Check an address to connect to, and return it: as `check_endpoint`, and it names one host and one port.

    Raises:
        LinkError: Where it does not.
    """
    if "*" in check_endpoint(endpoint) and endpoint.startswith("tcp:"):
        raise LinkError(f"endpoint {endpoint!r}: * is for a driver to listen on; expected the driver's host and port")
    return endpoint


def ipc_path(endpoint: str) -> Path | None:
    """The socket's path of an `ipc` address, None for the others."""
    match = _IPC.fullmatch(endpoint)
    return None if match is None else Path(match["path"])


def stream_endpoint(control: str, suffix: str) -> str:
    """Where a driver listens for one of its streams.

    Args:
        control: Its control address.
        suffix: The stream's short name, at most 9 characters.

    Returns:
        For `ipc` a path beside the control socket; for `tcp` any free port of the same interface.
    """
    if match := _TCP.fullmatch(control):
        return f"tcp://{match['host']}:*"
    return f"{control}.{suffix}"


def reachable(announced: str, control: str) -> str:
    """An announced address as this client can reach it.

    A driver that listens on all interfaces cannot know which of its host's names the client uses; the client does.

    Args:
        announced: The stream's address as the driver sees it.
        control: The control address as this client uses it.

    Raises:
        LinkError: Where the driver announced something that is no address.
    """
    ours, theirs = _TCP.fullmatch(control), _TCP.fullmatch(check_endpoint(announced))
    if ours is None or theirs is None:
        return check_peer(announced)
    return check_peer(f"tcp://{ours['host']}:{theirs['port']}")
