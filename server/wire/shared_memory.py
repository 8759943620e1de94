"""Pictures through shared memory of one host: a client writes them into a segment, the server reads them out.

A segment is a file in /dev/shm with a name that cannot be guessed, of this user alone. The server never takes a path
from a client, only such a name, and reads what it needs instead of mapping it: whatever a client does to its segment
meanwhile (cuts it off, writes on), the server has its own copy or one clear error, and no fault of the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import re
import secrets
import stat
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.errors import MessageError
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER: Final = Path("/dev/shm")  # noqa: S108  that is where shared memory is
MOST_SEGMENT_BYTES: Final = 256 * 2**20

_NAME: Final = re.compile(r"unichunk-[0-9a-f]{32}")
_PAGE: Final = 4096
_YOUNG_S: Final = 60.0


@cache
def host_mark() -> str:
    """What two processes of one user that see the same shared memory agree on, and others do not; empty without any."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        device = FOLDER.stat().st_dev
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {device} {os.geteuid()}".encode()).hexdigest()[:32]


class Segment:
    """A client's segment: a number of slots of equal size. For one thread.

    Who writes takes the slots in turn, and writes no slot again whose request is still waited for: there are more slots
    than requests.

    Args:
        slot_bytes: Size of a slot.
        slots: Number of slots.

    Attributes:
        name: What the server is told.

    Raises:
        UnichunkError: Where the host has no room for it.
    """

    def __init__(self, slot_bytes: int, slots: int) -> None:
        self._slot_bytes = -(-slot_bytes // _PAGE) * _PAGE
        remove_orphans()
        self.name = f"unichunk-{secrets.token_hex(16)}"
        self._path = FOLDER / self.name
        try:
            # Held locked for as long as this process lives, whatever ends it: see `remove_orphans`.
            self._handle = handle = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Room for all of it now, instead of a fault when it is written.
                os.posix_fallocate(handle, 0, self._slot_bytes * slots)
                self._memory = mmap.mmap(handle, self._slot_bytes * slots)
            except OSError:
                self._path.unlink()
                os.close(handle)
                raise
        except OSError as error:
            raise UnichunkError(f"shared memory: {error.strerror}; send pictures over the connection instead") from None

    def write(self, slot: int, offset: int, image: NDArray[np.uint8]) -> int:
        """Copy a picture into a slot.

        Args:
            slot: The slot.
            offset: Where in it, [bytes].
            image: The picture.

        Returns:
            Where in the segment the picture begins, [bytes].
        """
        if offset + image.nbytes > self._slot_bytes:
            raise ValueError(f"slot of {self._slot_bytes} bytes: expected room for {image.nbytes} at {offset}")
        start = slot * self._slot_bytes + offset
        np.ndarray(image.shape, np.uint8, self._memory, start)[...] = image
        return start

    def close(self) -> None:
        """Remove the segment; again does nothing."""
        if self._handle >= 0:
            self._path.unlink(missing_ok=True)
            self._memory.close()
            os.close(self._handle)
            self._handle = -1


def remove_orphans() -> None:
    """Remove the segments of this user that nobody holds any more: their processes were killed."""
    for path in FOLDER.glob("unichunk-*"):
        if _NAME.fullmatch(path.name) is None:
            continue
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                found = os.fstat(handle)
                # One that was just made may not be locked yet.
                if found.st_uid == os.geteuid() and time.time() - found.st_ctime > _YOUNG_S:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            finally:
                os.close(handle)


def read_shared(segment: str, offset: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Read a picture out of a client's segment.

    Args:
        segment: The name that the client gave.
        offset: Where it begins, [bytes].
        shape: (H, W, 3).

    Returns:
        RGB, of that shape, uint8; a copy.

    Raises:
        MessageError: Where there is no such segment of this server's own user, or it is too small; one line.
    """
    if _NAME.fullmatch(segment) is None:
        raise MessageError(f"shared memory: {segment!r} is no name of a segment, expected unichunk- and 32 digits")
    try:
        handle = os.open(FOLDER / segment, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise MessageError(f"shared memory: cannot open {segment}: {error.strerror}") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise MessageError(f"shared memory: {segment} is no file of this server's user alone")
        count = shape[0] * shape[1] * shape[2]
        if found.st_size > MOST_SEGMENT_BYTES or offset + count > found.st_size:
            raise MessageError(
                f"shared memory: {segment} has {found.st_size} bytes (at most {MOST_SEGMENT_BYTES} are read), expected "
                f"{count} from {offset} on"
            )
        image = np.empty(shape, np.uint8)
        if os.preadv(handle, [image.data.cast("B")], offset) != count:
            raise MessageError(f"shared memory: {segment} ended while it was read")
        return image
    except OSError as error:
        raise MessageError(f"shared memory: cannot read {segment}: {error.strerror}") from None
    finally:
        os.close(handle)
