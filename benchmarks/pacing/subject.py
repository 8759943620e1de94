"""A loop under test in its process, seen from the process that measures."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.environments import Environment, clean_variables, only_benchmarks
from unichunk.benchmarks.pacing.stamps import LONGEST

if TYPE_CHECKING:
    from unichunk.benchmarks.pacing.loops import Loop

WORKER: Final = "unichunk.benchmarks.pacing.worker"
PATIENCE_S: Final = 60.0
"""How much longer than asked a process may take, imports of its package included, [s]."""


class SubjectFailed(RuntimeError):
    """A process ended or hung; one line says why."""


@dataclass(frozen=True)
class Run:
    """What one measurement gave.

    Attributes:
        stamps_ns: When the steps that count began, on the monotonic clock, [ns].
        epoch_ns: When step 0 was due, [ns]; None for a loop that paces relative to now.
        elapsed_s: How long it all took, [s].
        inferences: How many there were meanwhile.
    """

    stamps_ns: list[int]
    epoch_ns: int | None
    elapsed_s: float
    inferences: int


class Subject:
    """One process with one loop beside one load; the load is on only while the loop runs.

    Args:
        name: The loop.
        loop: What it needs.
        load: Which load.
        bundle: The policy whose graphs are the load.
        environment: Where a peer is installed; None: here.

    Raises:
        SubjectFailed: Where it does not come up.
    """

    def __init__(self, name: str, loop: Loop, load: str, bundle: Path, environment: Environment | None) -> None:
        peer = loop.peer
        self._folder = tempfile.TemporaryDirectory(prefix="unichunk-")
        self._errors = Path(self._folder.name) / "errors"
        python, variables = sys.executable, None
        if environment is not None:
            python = str(environment.python)
            variables = clean_variables() | {"PYTHONPATH": str(only_benchmarks(Path(self._folder.name)))}
        package = (peer.module, peer.file) if peer else ("", "")
        command = [python, "-m", WORKER, name, load, str(bundle.absolute()), *package]
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=variables,
                    # An interpreter looks for packages where it was started, too.
                    cwd=self._folder.name,
                    # As if from a terminal of its own: the scheduler's automatic groups are by session.
                    start_new_session=True,
                    text=True,
                )
        except OSError as error:
            self._folder.cleanup()
            raise SubjectFailed(f"its process did not start: {error}; remove the environment") from None
        try:
            self.ready = self._answer(PATIENCE_S)
        except SubjectFailed:
            self.close()
            raise

    def measure(self, rate_hz: int, warm_up_s: float, seconds: float) -> Run:
        """Let the loop run.

        Args:
            rate_hz: Steps a second.
            warm_up_s: For so long steps do not count, [s].
            seconds: For so long they do, or as long as as many take, [s].

        Raises:
            SubjectFailed: Where the process ended or does not answer.
        """
        asked = {"rate_hz": rate_hz, "warm_up_s": warm_up_s, "seconds": seconds}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise SubjectFailed(self._why("ended")) from None
        return Run(**self._answer(warm_up_s + LONGEST * seconds + PATIENCE_S))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        self._folder.cleanup()

    def _answer(self, patience_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            self._process.kill()

        timer = threading.Timer(patience_s, give_up)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise SubjectFailed(self._why(f"did not answer for {patience_s:.0f} s" if hung.is_set() else "ended"))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why(self, what: str) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"its process {what}: {said}"


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:  # what was not sent to a process that ended
        return
