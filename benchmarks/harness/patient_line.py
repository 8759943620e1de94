"""A line from a process that may be stuck."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


def patient_line(process: subprocess.Popen[str], patience_s: float) -> str:
    """The next line of its standard output; empty where it ended, or said nothing in time and was killed for it.

    Args:
        process: Its output is a pipe.
        patience_s: How long to wait, [s].
    """
    assert process.stdout is not None
    timer = threading.Timer(patience_s, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()
