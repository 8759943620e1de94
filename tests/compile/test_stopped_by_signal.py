"""`unichunk compile`, stopped by a signal while it writes: one line, a status that says which, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.compile.golden_files import GOLDEN
from unichunk.server.raised_signals import StoppedBySignal, raised_signals

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """
import signal, sys, time
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.server.command_line import main

def tensor(self, name, read=Checkpoint.tensor, pause=float(sys.argv[-1])):
    time.sleep(pause)
    return read(self, name)

# Whatever the tests themselves were started with.
signal.signal(signal.SIGHUP, signal.SIG_IGN if "nohup" in sys.argv else signal.SIG_DFL)
Checkpoint.tensor = tensor
sys.argv = ["unichunk", *sys.argv[1:-2]]
main()
"""
"""The command, with disks that take a while for each weight."""


def started(out: Path, delay: float, word: str = "") -> subprocess.Popen[str]:
    """A real process that has begun to write."""
    command = ["compile", str(GOLDEN), "--data-config", "libero_nonorm", "--dataset", "uni_posttrain"]
    command += ["--steps", "1", "--refinement-rounds", "0", "--out", str(out), word, str(delay)]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 30
    while not any(path.stat().st_size for path in out.parent.parent.glob("*/.*/weights.bin")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["SIGTERM", "SIGINT", "SIGHUP"],
)
def test_nothing_is_left_behind(number: signal.Signals, status: int, tmp_path: Path) -> None:
    process = started(tmp_path / "new" / "bundle", delay=0.1)
    process.send_signal(number)
    said = process.communicate(timeout=20)
    assert process.returncode == status
    assert said == ("", f"unichunk compile: stopped by {number.name}; nothing half-written is left\n")
    assert not list(tmp_path.iterdir())


def test_a_terminal_that_goes_ends_nothing_under_nohup(tmp_path: Path) -> None:
    process = started(tmp_path / "new" / "bundle", delay=0.005, word="nohup")
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0
    assert (tmp_path / "new" / "bundle" / "bundle.json").is_file()


def test_the_first_one_counts_and_the_clearing_away_is_not_interrupted() -> None:
    cleared = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def block() -> None:
        nonlocal cleared
        with raised_signals():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                for number in before:
                    signal.raise_signal(number)
                cleared = True

    with pytest.raises(StoppedBySignal) as stopped:
        block()
    assert cleared
    assert (stopped.value.signal, stopped.value.exit_status) == (signal.SIGTERM, 143)
    assert not isinstance(stopped.value, Exception)
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_signal_that_is_ignored_stays_so_only_if_it_is_the_terminals() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_hear_of_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[object] = []

    def work() -> None:
        with raised_signals():  # in another thread, Python refuses to set handlers
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
