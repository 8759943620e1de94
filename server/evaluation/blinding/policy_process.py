"""A policy's server as a process of the proxy's: silent, and less urgent than what answers robots.

Started as `python -m`, see `PolicyHost`; its first argument is how much less urgent it is. Arguments may stand in a
private file, `@FILE`, a JSON list of texts: `ps` shows those of the command line to everybody.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unichunk.runtime.autogroup import set_session_niceness
from unichunk.server.command_line import main

if TYPE_CHECKING:
    from collections.abc import Iterable


def begin(nice: int) -> None:
    """Give way to others, and say nothing on an output that may be read by whoever must not know policies."""
    os.nice(nice)
    # Where sessions share the processor, that counts only among the threads of one; this process has one of its own.
    set_session_niceness(os.nice(0))
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  (of no path)
        os.dup2(nowhere.fileno(), 1)


def written_out(arguments: Iterable[str]) -> list[str]:
    """The arguments, with those of files in the place of the files."""
    found: list[str] = []
    for argument in arguments:
        found += json.loads(Path(argument[1:]).read_bytes()) if argument.startswith("@") else [argument]
    return found


if __name__ == "__main__":
    begin(int(sys.argv.pop(1)))
    sys.argv[1:] = written_out(sys.argv[1:])
    main()
