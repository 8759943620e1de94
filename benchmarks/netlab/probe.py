"""How long a small packet takes through a laboratory's path and back: what the path itself adds."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.netlab.namespaces import call_inside

if TYPE_CHECKING:
    from unichunk.benchmarks.netlab.laboratory import Laboratory, Place

SIZE: Final = 64
LOOK_S: Final = 0.05
"""How often the other end looks whether it shall end, [s]."""


def round_trips_s(
    laboratory: Laboratory, count: int, *, every_s: float = 0.002, patience_s: float = 2.0
) -> list[float]:
    """Round trips of UDP packets between the two places, [s]; lost ones are left out.

    Args:
        laboratory: The path, under whatever conditions it is.
        count: Packets sent, the first of which warms up and does not count.
        every_s: Pause after each, [s].
        patience_s: What takes longer is lost, [s].
    """
    times: list[float] = []
    with _bound(laboratory.near) as near, _bound(laboratory.far) as far:
        echo = threading.Thread(target=_echo, args=(far,), daemon=True)
        echo.start()
        near.settimeout(patience_s)
        for number in range(count + 1):
            sent = number.to_bytes(SIZE, "big")
            begun = time.perf_counter()
            near.sendto(sent, far.getsockname())
            received = _receive(near, sent)
            if received and number:
                times.append(time.perf_counter() - begun)
            time.sleep(every_s)
        far.close()
        echo.join()
    return times


def _bound(place: Place) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((place.address, 0))
        return made

    return call_inside(place.namespace, make)


def _receive(near: socket.socket, sent: bytes) -> bool:
    """Whether this packet comes back; older ones that come late are nobody's."""
    try:
        while near.recv(SIZE) != sent:
            pass
    except TimeoutError:
        return False
    return True


def _echo(far: socket.socket) -> None:
    far.settimeout(LOOK_S)
    while True:
        try:
            packet, sender = far.recvfrom(SIZE)
            far.sendto(packet, sender)
        except TimeoutError:
            continue
        except OSError:
            return
