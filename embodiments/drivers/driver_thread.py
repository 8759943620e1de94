"""A driver's threads: each runs one loop, and the first failure ends all of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from unichunk.runtime.realtime import prefer_this_thread

if TYPE_CHECKING:
    from collections.abc import Callable


class DriverThread(threading.Thread):
    """Runs a loop until it is halted; a failure is kept for the server, and halts the others.

    Args:
        name: What the loop does, for error messages.
        loop: The loop; it ends when the event is set.
        halt: The event that all threads of a driver share.
    """

    def __init__(self, name: str, loop: Callable[[threading.Event], None], halt: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._loop = loop
        self._halt = halt
        self.preferred = False
        """Whether the loop runs under SCHED_FIFO, where the system permits it; to be set before `start`."""
        self.failure: BaseException | None = None
        """What ended the loop before it was halted."""

    def run(self) -> None:
        """Run the loop."""
        if self.preferred:
            prefer_this_thread()
        try:
            self._loop(self._halt)
        except BaseException as failure:  # noqa: BLE001  handed to the server, which raises it
            self.failure = failure
        finally:
            self._halt.set()
