"""Addresses of policy servers, as a user gives them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from unichunk.runtime.errors import UnichunkError

HTTP_PORT: Final = 8000
ZMQ_PORT: Final = 5555

MAX_IPC_PATH: Final = 107
"""Where a Unix socket's path ends, [bytes]."""

_EXPECTED: Final = (
    "expected ws://host:port[/policy], wss://host:port[/policy], zmq://host:port[/policy] or ipc:///absolute/path"
)
_SCHEMES: Final = ("ws:", "wss:", "zmq:", "zmq+ipc:", "ipc:", "tcp:", "http:", "https:")


def is_remote(policy: str) -> bool:
    """Whether what a user names as policy is an address, right or wrong, and no folder."""
    return policy.startswith(_SCHEMES)


@dataclass(frozen=True)
class Address:
    """Where a policy is served.

    Attributes:
        text: As the user gave it.
        transport: WebSocket or ZeroMQ.
        host: Name or number; empty for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        path: Of the Unix socket; empty for TCP.
        secure: Whether TLS is spoken.
        policy: Name of the policy there; empty: the default one.
    """

    text: str
    transport: Literal["ws", "zmq"]
    host: str
    port: int
    path: str
    secure: bool
    policy: str

    @property
    def is_here(self) -> bool:
        """Whether it can only be this machine: a Unix socket or the loopback interface."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def endpoint(self) -> str:
        """ZeroMQ's name for it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ipc://{self.path}" if self.path else f"tcp://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        UnichunkError: Where it is none; one line.
    """
    scheme, _, rest = text.partition("://")
    if scheme in {"ipc", "zmq+ipc"}:
        if not rest.startswith("/") or "\0" in rest:
            raise _none(text)
        if len(rest.encode()) > MAX_IPC_PATH:
            raise UnichunkError(f"policy {text}: the path is longer than {MAX_IPC_PATH} bytes, choose a shorter one")
        return Address(text, "zmq", "", 0, rest, secure=False, policy="")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _none(text) from None
    policy = parts.path.strip("/")
    strange = "*" in host or parts.query or parts.fragment or parts.username is not None or "/" in policy
    if scheme not in {"ws", "wss", "zmq"} or not host or strange or not text.isprintable() or " " in text:
        raise _none(text)
    transport: Literal["ws", "zmq"] = "zmq" if scheme == "zmq" else "ws"
    default = ZMQ_PORT if transport == "zmq" else HTTP_PORT
    return Address(text, transport, host, port or default, "", secure=scheme == "wss", policy=policy)


def _none(text: str) -> UnichunkError:
    hint = "; a driver's tcp:// is zmq:// here" if text.startswith("tcp://") else ""
    return UnichunkError(f"policy {text[:200]!r}: {_EXPECTED}{hint}")
