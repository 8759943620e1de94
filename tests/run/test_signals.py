"""Signals that end a run: taken in, never raised in the middle of something."""

from __future__ import annotations

import os
import signal

import pytest

from unichunk.runtime.outcome import ExitReason
from unichunk.server.signals import EndedBySignal, EndingSignals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def hangup() -> object:
    """Not ignored, as it would be under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "reason"), list(zip(NUMBERS, ["interrupted", "terminated", "terminated"], strict=True))
)
def test_a_signal_is_found_when_asked_for(number: signal.Signals, reason: str) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with EndingSignals() as signals:
        signals.check()
        os.kill(os.getpid(), number)
        with pytest.raises(EndedBySignal, match=reason):
            signals.check()
    assert [signal.getsignal(each) for each in NUMBERS] == before


def test_the_first_signal_counts_before_and_after_there_is_a_run() -> None:
    stopped: list[ExitReason] = []
    with EndingSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        signals.pass_on(stopped.append)
        assert stopped == [ExitReason.TERMINATED]
        os.kill(os.getpid(), signal.SIGINT)
    assert stopped == [ExitReason.TERMINATED] * 2


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with EndingSignals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        signals.check()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
