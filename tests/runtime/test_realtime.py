"""What a run does to its process's standing with the scheduler, and that it undoes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from unichunk.runtime import autogroup
from unichunk.runtime.autogroup import session_niceness
from unichunk.runtime.realtime import NICENESS, realtime_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session with a niceness, in a file that takes it as the kernel's does; no other standing is touched."""
    enabled, own = tmp_path / "enabled", tmp_path / "autogroup"
    enabled.write_text("1\n")
    own.write_text("/autogroup-25 nice 0\n")
    monkeypatch.setattr(autogroup, "ENABLED", enabled)
    monkeypatch.setattr(autogroup, "OWN", own)
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    return own


def test_a_run_prefers_its_session_and_brings_it_back(session: Path) -> None:
    with realtime_process(lock_memory=False) as missing:
        assert session_niceness() == NICENESS
        assert missing == []
    assert session_niceness() == 0


@pytest.mark.parametrize("niceness", [NICENESS, NICENESS - 5])
def test_a_session_that_another_process_prefers_is_left_alone(session: Path, niceness: int) -> None:
    session.write_text(f"/autogroup-25 nice {niceness}\n")
    with realtime_process(lock_memory=False):
        assert session_niceness() == niceness
        session.write_text("/autogroup-25 nice 0\n")
    assert session_niceness() == 0


def test_what_is_not_permitted_is_told_once(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session.unlink()
    session.mkdir()
    monkeypatch.setattr("unichunk.runtime.realtime.session_niceness", lambda: 0)
    with realtime_process(lock_memory=False) as missing:
        assert [line.partition(",")[0] for line in missing] == [f"no niceness {NICENESS} for this session"]

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    with realtime_process(lock_memory=False) as missing:
        assert [line.partition(":")[0] for line in missing] == [f"no niceness {NICENESS} for other threads"]


@pytest.mark.parametrize("file", ["enabled", "autogroup"])
@pytest.mark.parametrize("content", [None, "", "0\n"])
def test_where_sessions_have_no_niceness_nothing_is_missing(session: Path, file: str, content: str | None) -> None:
    path = session.parent / file
    path.unlink()
    if content is not None and (file, content) != ("autogroup", "0\n"):
        path.write_text(content)
    before = session.read_text() if session.exists() else None
    with realtime_process(lock_memory=False) as missing:
        assert session_niceness() is None
        assert missing == []
    assert (session.read_text() if session.exists() else None) == before
