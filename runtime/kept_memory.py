"""Freed memory that stays with the process, so that the next picture does not wait for the kernel.

glibc gives freed memory back to the kernel as soon as it is more than about twice its largest block. A camera's picture
of 480 x 640 has 225 pages; where one is received, decoded and sent on, the pages of all copies are taken from the
kernel anew each time, one fault each, which costs several times what copying does (`unichunk bench wire`).
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
# The largest that glibc takes on 64 bits (mallopt(3)).
_LARGEST_BLOCK: Final = 32 * 2**20
_KEPT: Final = 256 * 2**20


def keep_freed_memory() -> bool:
    """Keep up to 256 MiB of freed memory, in blocks of up to 32 MiB; holds until the process ends.

    Returns:
        False where the system's C library is not glibc, and nothing was changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return all(
        mallopt(option, size) for option, size in ((_M_MMAP_THRESHOLD, _LARGEST_BLOCK), (_M_TRIM_THRESHOLD, _KEPT))
    )
