"""How a command that moves robots ends: its exit status, and one line where it was refused or interrupted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.server.say import say
from unichunk.server.signals import EndedBySignal, EndingSignals
from unichunk.server.usage_error import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def ended(command: str, robots: str, run: Callable[[EndingSignals], T]) -> T | int:
    """Run; the exit status where it was refused, or interrupted before a robot moved.

    Args:
        command: The command, for what is said: `unichunk run`.
        robots: What did not move: `the robot`.
        run: What to run, with the signals that end it.
    """
    try:
        with EndingSignals() as signals:
            return run(signals)
    except EndedBySignal as interruption:
        say(f"{command}: {interruption} before {robots} moved\n", sys.stderr)
        return EXIT_STATUS[interruption.reason]
    except UnichunkError as error:
        say(f"{command}: {error}\n", sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATUS[ExitReason.REFUSED]
