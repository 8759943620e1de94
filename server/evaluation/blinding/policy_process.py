"""A policy's server as a process of the proxy's: silent, and less urgent than what answers robots.

Started as `python -m`, see `PolicyHost`; its first argument is how much less urgent it is.
"""

from __future__ import annotations

import os
import sys

from unichunk.runtime.autogroup import set_session_niceness
from unichunk.server.command_line import main


def begin(nice: int) -> None:
    """Give way to others, and say nothing on an output that may be read by whoever must not know policies."""
    os.nice(nice)
    # Where sessions share the processor, that counts only among the threads of one; this process has one of its own.
    set_session_niceness(os.nice(0))
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  (of no path)
        os.dup2(nowhere.fileno(), 1)


if __name__ == "__main__":
    begin(int(sys.argv.pop(1)))
    main()
