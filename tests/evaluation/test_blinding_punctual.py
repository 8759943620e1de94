"""The thread that answers robots is preferred, and nothing that it starts."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from unichunk.runtime.realtime import SWITCH_INTERVAL_S
from unichunk.server.evaluation.blinding.punctual import PRIORITY, punctual_thread


def test_the_thread_is_preferred_and_nothing_that_it_starts() -> None:
    before = (sys.getswitchinterval(), os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
    found: list[int] = []
    with punctual_thread() as permitted:
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
        if permitted:
            assert os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
            assert os.sched_getparam(0).sched_priority == PRIORITY
        thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
        thread.start()
        thread.join()
    assert found == [os.SCHED_OTHER]
    assert (sys.getswitchinterval(), os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_what_is_not_permitted_is_told_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    before = sys.getswitchinterval()
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with punctual_thread() as permitted:
        assert not permitted
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    assert sys.getswitchinterval() == before
