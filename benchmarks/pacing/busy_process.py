"""A process that keeps a core busy for as long as the one that started it lives: `python -m ... PARENT`.

It prints a line when it has begun to.
"""

from __future__ import annotations

import os
import sys
from typing import Final

BUSY: Final = "busy"


def main() -> None:
    """Count, and look up now and then."""
    parent = int(sys.argv[1])
    _count()
    print(BUSY, flush=True)
    while os.getppid() == parent:
        _count()


def _count() -> None:
    for _ in range(100_000):
        pass


if __name__ == "__main__":
    main()
