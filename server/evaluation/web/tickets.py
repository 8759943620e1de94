"""Tickets that set a robot in motion: given out with what the page shows, and worth something for a few seconds.

A request may lie in some buffer of the network and come through minutes later, when somebody stands beside the robot.
So whatever moves one carries a ticket that says when the operator's page last heard from the server, by the server's
own monotonic clock.
"""

from __future__ import annotations

import math
import struct
import time
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.web.signature import read_signed, sign

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMAT: Final = struct.Struct(">d")


class Tickets:
    """Makes tickets and takes them.

    Args:
        key: Signs them.
        boot: Random, new with every start of the server: clocks of two starts cannot be compared.
        lasts_s: How long one is worth something, [s].
        clock: Monotonic, [s].
    """

    def __init__(self, key: bytes, *, boot: str, lasts_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._purpose = f"ticket {boot}"
        self._lasts_s = lasts_s
        self._clock = clock

    def give(self) -> str:
        """A ticket of now."""
        return sign(self._key, self._purpose, _FORMAT.pack(self._clock()))

    def is_fresh(self, ticket: str | None) -> bool:
        """Whether a ticket is one of ours, and young enough."""
        content = read_signed(self._key, self._purpose, ticket)
        if content is None or len(content) != _FORMAT.size:
            return False
        age = self._clock() - _FORMAT.unpack(content)[0]
        return math.isfinite(age) and 0 <= age <= self._lasts_s
