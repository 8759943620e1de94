"""Other processes on all cores, as a build or a simulation beside the robot's process would be."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def foreign_load() -> Iterator[None]:
    """One busy process of ordinary priority for each core that this process may use.

    Each is in a session of its own, as from another terminal: the scheduler's automatic groups are by session.
    """
    command = [sys.executable, "-m", "unichunk.benchmarks.pacing.busy_process", str(os.getpid())]
    cores = len(os.sched_getaffinity(0))
    busy = [subprocess.Popen(command, start_new_session=True) for _ in range(cores)]  # noqa: S603
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
