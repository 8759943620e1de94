"""The signals that end a run: heard from before anything is started until everything has ended."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.outcome import ExitReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

REASONS: Final = {
    signal.SIGINT: ExitReason.INTERRUPTED,
    signal.SIGTERM: ExitReason.TERMINATED,
    # The terminal has gone: nobody is watching any more.
    signal.SIGHUP: ExitReason.TERMINATED,
}


class EndedBySignal(Exception):
    """Somebody ended the command before there was a run that could end in a report."""

    def __init__(self, reason: ExitReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class EndingSignals:
    """Takes the signals in while it is entered; the first one counts.

    A handler runs between any two steps of the main thread, perhaps in the middle of starting a process or with a lock
    held. So it raises nothing and waits for nothing: it writes down what arrived, and the main thread asks.
    """

    def __init__(self) -> None:
        self._reason: ExitReason | None = None
        self._stop: Callable[[ExitReason], None] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> EndingSignals:
        for number in REASONS:
            # Started by `nohup`, the command shall outlive its terminal.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Has one arrived?

        Raises:
            EndedBySignal: If so.
        """
        if self._reason is not None:
            raise EndedBySignal(self._reason)

    def pass_on(self, stop: Callable[[ExitReason], None]) -> None:
        """From now on, call this, from the handler; at once where one has arrived already."""
        self._stop = stop
        if self._reason is not None:
            stop(self._reason)

    def _received(self, number: int, _: object) -> None:
        if self._reason is None:
            self._reason = REASONS[signal.Signals(number)]
        if self._stop is not None:
            self._stop(self._reason)
