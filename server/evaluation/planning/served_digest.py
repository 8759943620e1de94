"""Which bundle a lean server says it serves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import PolicyError
from unichunk.server.remote.address import parse_address
from unichunk.server.remote.clock import SystemClock
from unichunk.server.remote.credentials import read_credentials
from unichunk.server.remote.remote_policy import JOIN_S, make_dialer
from unichunk.server.remote.session import Session
from unichunk.server.remote.statistics import RemoteStatistics
from unichunk.server.wire.lean import PROTOCOL, Hello

if TYPE_CHECKING:
    from unichunk.server.remote.clock import Clock
    from unichunk.server.remote.connection import Dialer
    from unichunk.server.remote.credentials import Credentials
    from unichunk.server.wire.lean import Welcome

_SHA256: Final = re.compile("[0-9a-f]{64}")


def served_digest(
    source: str,
    robot: str,
    refinement_rounds: int,
    credentials: Credentials | None = None,
    *,
    dialer: Dialer | None = None,
    clock: Clock | None = None,
) -> str:
    """SHA-256 of the `bundle.json` that a server greets its clients with.

    Args:
        source: Its address.
        robot: The embodiment that is to be driven.
        refinement_rounds: N.
        credentials: What to show; None: the API key of the environment, if there is one.
        dialer: Makes connections; None: what the address asks for.
        clock: Time.

    Returns:
        Hexadecimal.

    Raises:
        UnichunkError: Where it cannot be reached, refuses, or names no hash; one line.
    """
    address = parse_address(source)
    credentials = credentials or read_credentials(address)
    clock = clock or SystemClock()
    dialer = dialer or make_dialer(address, credentials)
    welcomes: list[Welcome] = []
    hello = Hello(
        protocol=PROTOCOL,
        key=credentials.key,
        policy=address.policy,
        embodiment=robot,
        refinement_rounds=refinement_rounds,
    )
    try:
        session = Session(dialer, hello, source, welcomes.append, RemoteStatistics(), clock)
        try:
            session.join(clock.now() + JOIN_S)
        finally:
            session.close()
    finally:
        dialer.close()
    digest = welcomes[-1].digest
    if _SHA256.fullmatch(digest) is None:
        raise PolicyError(f"{source}: the server names no hash of what it serves, so it cannot be frozen")
    return digest
