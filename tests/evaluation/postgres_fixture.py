"""A PostgreSQL server for a test module, where one can be started."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unichunk.benchmarks.evaluated.postgres_server import PostgresServer, PostgresUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Skips where there is none."""
    # Names of sockets are short, and others must be able to enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)
    try:
        running = PostgresServer(folder)
    except PostgresUnavailable as error:
        shutil.rmtree(folder)
        pytest.skip(str(error))
    yield running
    running.stop()
    shutil.rmtree(folder)
