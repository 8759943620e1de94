"""Memory that the front and one worker share, for the payloads of requests.

What goes through a socket is copied into the kernel's pages and out of them again, which are taken anew for each
message: for requests with pictures that was most of what the front spent.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

SLOT_BYTES: Final = 1 << 20
SLOTS: Final = 32

LEAST_BYTES: Final = 16 * 1024
"""Smaller payloads go through the socket with their message."""


class SharedArena:
    """The front's end: slots that it fills and, once a request is answered, uses again.

    Raises:
        OSError: Where there is no memory.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("unichunk-requests")
        try:
            os.ftruncate(self.fd, SLOTS * SLOT_BYTES)
            self._memory = mmap.mmap(self.fd, SLOTS * SLOT_BYTES)
        except BaseException:
            os.close(self.fd)
            raise
        self._free = list(range(SLOTS))
        self._taken: dict[int, int] = {}

    def put(self, ticket: int, payload: bytes) -> int | None:
        """Where a request's payload is now; None where it has to go through the socket.

        Args:
            ticket: The request's number.
            payload: Its bytes.
        """
        if self._memory.closed or not self._free or not LEAST_BYTES <= len(payload) <= SLOT_BYTES:
            return None
        # The one used last is the one whose pages are there.
        slot = self._taken[ticket] = self._free.pop()
        start = slot * SLOT_BYTES
        self._memory[start : start + len(payload)] = payload
        return start

    def free(self, ticket: int) -> None:
        """The worker has answered this request: its slot can be used again."""
        slot = self._taken.pop(ticket, None)
        if slot is not None:
            self._free.append(slot)

    def close(self) -> None:
        """Give the memory back; again does nothing."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self.fd)


class SharedPayloads:
    """The worker's end.

    Args:
        fd: Of the arena, inherited; it is closed.
    """

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SLOTS * SLOT_BYTES, prot=mmap.PROT_READ)
        os.close(fd)

    def take(self, start: int, size: int) -> bytes:
        """A payload. A copy: whoever keeps a part of it must not see the next request there."""
        return self._memory[start : start + size]
