"""What a process owes the one of ours that started it: to say when it is ready, and to end with it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def announce_ready(ready_fd: int) -> None:
    """Write a byte to an inherited pipe and close it; whoever wanted to know may be gone."""
    with suppress(OSError):
        os.write(ready_fd, b"\n")
    with suppress(OSError):
        os.close(ready_fd)


def at_end_of_input(call: Callable[[], object]) -> None:
    """Call once the standard input ends, as it does when the process at its other end dies, however that dies."""
    with suppress(OSError):
        # Not sys.stdin: the interpreter, when it ends, would wait for the lock that its reader holds.
        while os.read(0, 4096):
            pass
    call()
