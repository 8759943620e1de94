"""Telling systemd how the server is: ready, stopping, alive. Without systemd, nothing happens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send a state, such as `READY=1`; never raises and never waits.

    See sd_notify(3): a datagram to the socket that `NOTIFY_SOCKET` names, a path or, with @, an abstract name.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(0)
        sender.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


def watchdog_s() -> float | None:
    """How often systemd wants to hear that the server lives, [s]: half of its patience; None where it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        patience_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return patience_us / 2e6 if patience_us > 0 else None
