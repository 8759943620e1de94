"""The signals that end a process that serves: a driver's, or that of a policy host."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Within the block, SIGINT, SIGTERM and SIGHUP set an event. Call it from the main thread.

    SIGHUP stays ignored where it was (`nohup`).

    Yields:
        The event. The main thread only looks at it and never waits for it: waiting takes a lock that a handler in the
        same thread would find taken.
    """
    stop = threading.Event()
    heard: list[int] = []

    def received(number: int, _: object) -> None:
        # Setting the event takes a lock; a second signal in the middle of that must not wait for it.
        if not heard:
            heard.append(number)
            stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    # Where the terminal goes, what is served comes to its end; started by `nohup`, it outlives the terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, received) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
