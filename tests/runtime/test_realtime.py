"""What a run does to its process's standing with the scheduler, and that it undoes it."""

from __future__ import annotations

import errno
import os
import time
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


def test_a_session_is_brought_back_whatever_ends_the_run(session: Path) -> None:
    def ended_by(error: BaseException) -> None:
        with realtime_process(lock_memory=False):
            assert session_niceness() == NICENESS
            raise error

    for error in (RuntimeError(), KeyboardInterrupt(), SystemExit(1)):
        with pytest.raises(type(error)):
            ended_by(error)
        assert session_niceness() == 0


class Busy:
    """A file that is to be written again later, as the kernel says to whoever is not root, so many times."""

    def __init__(self, path: Path, refusals: int) -> None:
        self.path, self.refusals = path, refusals

    def read_text(self, encoding: str) -> str:
        return self.path.read_text(encoding)

    def write_text(self, text: str, encoding: str) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        self.path.write_text(f"/autogroup-25 nice {text}\n", encoding)


def test_a_run_that_ends_at_once_waits_until_it_may_bring_its_session_back(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    busy = Busy(session, 0)
    monkeypatch.setattr(autogroup, "OWN", busy)
    with realtime_process(lock_memory=False) as missing:
        busy.refusals = 3
    assert (session_niceness(), missing) == (0, [])
    # The kernel counts to a tenth of a second.
    assert len(slept) == 3
    assert sum(slept) > 0.1
    busy.refusals = 1000
    with realtime_process(lock_memory=False) as missing:
        assert len(missing) == 1
    assert sum(slept) < 1.0


def test_a_session_that_could_not_be_preferred_is_not_written_to_at_the_end(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unichunk.runtime.realtime.set_session_niceness", lambda _: False)
    with realtime_process(lock_memory=False) as missing:
        assert len(missing) == 1
        monkeypatch.undo()
        monkeypatch.setattr(autogroup, "OWN", session)
        monkeypatch.setattr(autogroup, "ENABLED", session.parent / "enabled")
        monkeypatch.setattr(os, "setpriority", lambda *_: None)
        session.write_text(f"/autogroup-25 nice {NICENESS}\n")  # by another process, which may
    assert session_niceness() == NICENESS


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
