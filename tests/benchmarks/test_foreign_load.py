"""The load beside a measurement is there from its first moment to its last."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.one_line import refused
from unichunk.benchmarks.pacing import foreign_load as module
from unichunk.benchmarks.pacing.foreign_load import foreign_load

if TYPE_CHECKING:
    from pathlib import Path


def program(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put this in the place of the interpreter."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(module, "sys", SimpleNamespace(executable=str(path)))


def test_it_begins_when_all_are_busy_and_ends_with_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(monkeypatch, tmp_path, f"sleep 0.3\necho $$ > {tmp_path}/$$.pid\necho busy\nexec sleep 60")
    begun_s = time.monotonic()
    with foreign_load():
        assert time.monotonic() - begun_s >= 0.3
        pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
        assert len(pids) == len(os.sched_getaffinity(0))
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_one_that_ends_before_it_is_busy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(monkeypatch, tmp_path, "exit 7")
    with refused(RuntimeError, "status 7"), foreign_load():
        pass


@pytest.mark.processes
def test_the_real_ones_become_busy() -> None:
    with foreign_load():
        pass
