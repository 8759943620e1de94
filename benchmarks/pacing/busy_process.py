"""A process that keeps a core busy for as long as the one that started it lives: `python -m ... PARENT`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Count, and look up now and then."""
    parent = int(sys.argv[1])
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    main()
