"""A benchmark that is ended leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_block_in_order(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with (
        pytest.raises(SystemExit) as ended,
        ended_by_signals("latency"),
        tempfile.TemporaryDirectory(dir=tmp_path),
    ):
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == f"unichunk bench latency: stopped by {number.name}\n"
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "options", "begun"),
    [
        ("latency", ("--random", "tiny", "--robot", "stand-in"), "*/bundle-*"),
        ("compile_checkpoint", ("--quick",), "*/checkpoint/*"),
    ],
)
def test_random_weights_do_not_outlive_the_benchmark(
    name: str, options: tuple[str, ...], begun: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", f"unichunk.benchmarks.{name}", *options, "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while not list(tmp_path.glob(begun)) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert list(tmp_path.glob(begun))
        process.terminate()
        _, complained = process.communicate(timeout=30)
    assert process.returncode == 143
    assert complained.splitlines()[-1] == f"unichunk bench {name}: stopped by SIGTERM"
    assert "Traceback" not in complained
    assert list(tmp_path.iterdir()) == []
