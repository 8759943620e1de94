"""Other processes on all cores, as a build or a simulation beside the robot's process would be."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unichunk.benchmarks.pacing.busy_process import BUSY

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def foreign_load() -> Iterator[None]:
    """One busy process of ordinary priority for each core that this process may use.

    Each is in a session of its own, as from another terminal: the scheduler's automatic groups are by session.
    The block begins when all of them are busy.

    Raises:
        RuntimeError: One of them ended before it was.
    """
    command = [sys.executable, "-m", "unichunk.benchmarks.pacing.busy_process", str(os.getpid())]
    cores = len(os.sched_getaffinity(0))
    busy = [subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) for _ in range(cores)]  # noqa: S603
    try:
        for process in busy:
            assert process.stdout is not None
            if process.stdout.readline().strip() != BUSY.encode():
                raise RuntimeError(f"a process that should be busy ended with status {process.wait()}")
        yield
    finally:
        for process in busy:
            process.kill()
            process.communicate()
