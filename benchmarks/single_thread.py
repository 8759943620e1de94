"""Linear algebra on one thread."""

from __future__ import annotations

import os
import sys
from typing import Final

VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def restart_with_one_thread(module: str) -> None:
    """Begin this process anew as `python -m MODULE`, unless its linear algebra is on one thread already.

    The libraries read their variables once, when they are loaded.
    """
    wanted = dict.fromkeys(VARIABLES, "1")
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        arguments = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | wanted)  # noqa: S606
