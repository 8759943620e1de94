"""Saying something to people, who may have stopped listening."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def say(text: str, stream: TextIO | None) -> None:
    """Write lines to standard output or error; never raises for a stream that is closed, broken or interrupted.

    What cannot be told to anybody must not change how a command ends.

    Args:
        text: Whole lines.
        stream: `sys.stdout` or `sys.stderr`, which are None where the command was started without them.
    """
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError, KeyboardInterrupt):
        _give_up(stream)


def _give_up(stream: TextIO) -> None:
    """Send the rest nowhere: else the interpreter tries again when it ends, and ends with a status of its own."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
