"""Signals that end a command as an exception, so that what it has begun is cleared away."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unichunk.server.signals import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator


class StoppedBySignal(BaseException):
    """Somebody ended the command. No `Exception`: nobody who expects some failure of their own shall swallow it."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)

    @property
    def exit_status(self) -> int:
        """As shells report a process that the signal ended."""
        return 128 + self.signal


@contextmanager
def raised_signals() -> Iterator[None]:
    """Within the block, the first SIGINT, SIGTERM or SIGHUP is raised as an exception.

    Those that follow are ignored, so that nothing interrupts the clearing away. SIGHUP stays ignored where it was
    (`nohup`). Only the main thread hears of signals: in others, nothing is changed.

    Raises:
        StoppedBySignal: From wherever the main thread is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopped = False

    def received(number: int, _: object) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            raise StoppedBySignal(number)

    before = {}
    try:
        for number in REASONS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, received)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
