"""Load generators, seen from the process that measures: clients spread over a few processes, all beginning at once."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.environments import Environment, clean_variables, only_benchmarks
from unichunk.benchmarks.harness.patient_line import patient_line

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKER: Final = "unichunk.benchmarks.serving.load_process"
PROCESSES: Final = 4
"""Processes that a group of clients is spread over at most."""

HEAD_START_S: Final = 0.05
PATIENCE_S: Final = 90.0
"""How long connecting, or answers of what was asked at the end, may take, [s]."""


class LoadFailed(RuntimeError):
    """Clients could not be connected, or their process ended; one line says why."""


@dataclass(frozen=True)
class Group:
    """Clients of one kind.

    Attributes:
        kind: Which client, see `clients`.
        address: Whom they ask.
        count: How many.
        warm: Whether each asks once before it counts.
    """

    kind: str
    address: str
    count: int
    warm: bool


@dataclass(frozen=True)
class Trips:
    """Round trips of a group.

    Attributes:
        by_client: (begin, end) of each, [ns], client by client.
        failures: What went wrong, a line each.
    """

    by_client: list[list[tuple[int, int]]]
    failures: list[str]


class LoadProcess:
    """One process with clients.

    Args:
        environment: Where it runs; None: here.
        folder: For what it says and what it imports.
    """

    def __init__(self, environment: Environment | None, folder: Path) -> None:
        self._errors = folder / "errors"
        python, variables = sys.executable, None
        if environment is not None:
            python = str(environment.python)
            variables = clean_variables() | {"PYTHONPATH": str(only_benchmarks(folder))}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603  our own module
                [python, "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=variables,
                cwd=folder,
                start_new_session=True,
                text=True,
            )

    def tell(self, what: dict[str, Any]) -> None:
        """Ask for something; `answer` waits for it.

        Raises:
            LoadFailed: Where the process has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise LoadFailed(self._why("ended")) from None

    def answer(self, patience_s: float) -> dict[str, Any]:
        """What it answers.

        Raises:
            LoadFailed: Where it does not, in time.
        """
        line = patient_line(self._process, patience_s)
        if not line:
            raise LoadFailed(self._why(f"ended, or did not answer for {patience_s:.0f} s"))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _why(self, what: str) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"a process of clients {what}: {said}"


class LoadGenerator:
    """Processes of clients in one environment, started when first needed and kept.

    Args:
        environment: Where clients are installed; None: here.
    """

    def __init__(self, environment: Environment | None = None) -> None:
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="unichunk-load-")
        self._processes: list[LoadProcess] = []

    def connect(self, group: Group, *, beside: Sequence[LoadProcess] = ()) -> list[LoadProcess]:
        """Connect a group's clients.

        Args:
            group: Which.
            beside: Processes that other groups use.

        Returns:
            Its processes.

        Raises:
            LoadFailed: Where a client cannot connect, or gets no answer.
        """
        shares = spread(group.count, PROCESSES)
        free = [process for process in self._processes if process not in beside]
        while len(free) < len(shares):
            folder = Path(self._folder.name) / str(len(self._processes))
            folder.mkdir()
            free.append(LoadProcess(self._environment, folder))
            self._processes.append(free[-1])
        used = free[: len(shares)]
        for process, share in zip(used, shares, strict=True):
            process.tell({"connect": [group.kind, group.address, share, group.warm]})
        failures = [process.answer(PATIENCE_S).get("failure", "") for process in used]
        if any(failures):
            hang_up(used)
            raise LoadFailed(next(filter(None, failures)))
        return used

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.close()
        self._processes = []
        self._folder.cleanup()


def run(groups: Sequence[Sequence[LoadProcess]], lead_s: float, seconds: float) -> tuple[list[Trips], int, int]:
    """Let groups of connected clients ask at the same time.

    Args:
        groups: Processes of each group.
        lead_s: For so long it does not count, [s].
        seconds: For so long it does, [s].

    Returns:
        All round trips of each group, those of the lead too; when counting began and ended, [ns].
    """
    begin_ns = time.monotonic_ns() + round(HEAD_START_S * 1e9)
    first_ns = begin_ns + round(lead_s * 1e9)
    end_ns = first_ns + round(seconds * 1e9)
    for processes in groups:
        for process in processes:
            process.tell({"run": [begin_ns, end_ns]})
    patience_s = HEAD_START_S + lead_s + seconds + PATIENCE_S
    found = []
    for processes in groups:
        answers = [process.answer(patience_s) for process in processes]
        found.append(
            Trips(
                [[(begin, end) for begin, end in client] for answer in answers for client in answer["trips"]],
                [line for answer in answers for line in answer["failures"]],
            )
        )
    return found, first_ns, end_ns


def hang_up(processes: Sequence[LoadProcess]) -> None:
    """Close the connections of a group."""
    for process in processes:
        process.tell({"hang_up": True})
    for process in processes:
        process.answer(PATIENCE_S)


def spread(count: int, most: int) -> list[int]:
    """How many of `count` clients each of at most `most` processes gets, as evenly as possible."""
    processes = min(count, most)
    return [count // processes + (index < count % processes) for index in range(processes)]
