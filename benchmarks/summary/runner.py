"""Runs one benchmark in a process of its own, and keeps what it said and wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

PACKAGE: Final = "unichunk.benchmarks"


@dataclass(frozen=True)
class Outcome:
    """What became of a benchmark.

    Attributes:
        name: Which.
        seconds: How long it took.
        problem: Why there is no result, or none to be trusted; empty where all went well.
        said: Its standard output.
        document: What it wrote; None where it wrote nothing.
    """

    name: str
    seconds: float
    problem: str
    said: str
    document: dict[str, Any] | None


def run_benchmark(name: str, arguments: tuple[str, ...], limit_s: float) -> Outcome:
    """Run `python -m unichunk.benchmarks.NAME ARGUMENTS --json FILE`.

    Its standard error is this process's own, so that its progress is seen. A benchmark that outlasts the limit is
    ended with all that it started.
    """
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, "-m", f"{PACKAGE}.{name}", *arguments, "--json", str(path)]
        begun = time.monotonic()
        with subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            timer = threading.Timer(limit_s, _end, (process.pid,))
            timer.start()
            try:
                said, _ = process.communicate()
            except BaseException:
                _end(process.pid)
                raise
            finally:
                timer.cancel()
        seconds = time.monotonic() - begun
        document, problem = _read(path)
    if seconds >= limit_s:
        problem = f"took longer than {limit_s:.0f} s and was ended"
    elif process.returncode != 0:
        problem = f"ended with status {process.returncode}"
    return Outcome(name, seconds, problem, said, document)


def _end(process: int) -> None:
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _read(path: Path) -> tuple[dict[str, Any] | None, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]), ""
    except OSError:
        return None, "wrote no result"
    except msgspec.MsgspecError as error:
        return None, f"wrote a result that is no JSON document: {error}"
