"""The `unichunk` command as a process, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def start(
    *arguments: str, folder: Path, stdout: int | IO[str] = subprocess.PIPE, stderr: int | IO[str] = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start the command in a folder; its temporary files go into `tmp` in there, where that exists."""
    command = [sys.executable, "-m", "unichunk.server.command_line", *arguments]
    # Buffered, as a user has it: what is left in a buffer at the end is where broken pipes show.
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": ""}
    if (folder / "tmp").is_dir():
        environment["TMPDIR"] = str(folder / "tmp")
    # Under `nohup` the tests have it ignored, and the command would inherit that.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout, stderr=stderr, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)


def run(*arguments: str, folder: Path) -> tuple[int, str, str]:
    """Run the command; its exit status, standard output and standard error."""
    with start(*arguments, folder=folder) as process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def report_of(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def wait_until_running(process: subprocess.Popen[str]) -> None:
    """Read what the run says until the policy moves the robot."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("time "):
            return
    raise AssertionError("the run ended before the policy moved the robot")


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def drivers(folder: Path) -> list[int]:
    """Processes of simulated drivers that runs in this folder have started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"unichunk.embodiments.drivers" in command and os.fsencode(folder / "tmp") in command:
                found.append(int(entry.name))
    return found


def nothing_left(folder: Path) -> bool:
    """No simulated driver, and none of their temporary folders."""
    return not drivers(folder) and not list((folder / "tmp").glob("unichunk-*"))
