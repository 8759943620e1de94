"""What is left to do once a run is over: write its report, say how it went."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import ReportError
from unichunk.runtime.report import rescue_report, write_report
from unichunk.server.say import say
from unichunk.server.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.supervisor import Supervisor
    from unichunk.server.simulated_driver import SimulatedDriver

EXIT_NOT_WRITTEN: Final = 8
"""Exit status of a run that ended as asked, but whose report or recordings could not be written where asked."""


@dataclass(frozen=True)
class EndedRun:
    """A run that is over.

    Attributes:
        status: Exit status.
        summary: For people, on the standard output.
        problems: What went wrong beside the run, a line each.
    """

    status: int
    summary: str
    problems: list[str]

    def say(self, command: str) -> int:
        """Say how it went, last, when there is nothing left that a terminal that takes nothing could delay.

        Args:
            command: The command, for what is said: `unichunk run`.

        Returns:
            The exit status.
        """
        for problem in self.problems:
            say(f"{command}: {problem}\n", sys.stderr)
        say(self.summary, sys.stdout)
        return self.status


def write_ended(path: Path, report: dict[str, Any], status: int, problems: list[str]) -> EndedRun:
    """Write the report, somewhere else where it must be: what ran cannot be run again."""
    where = path
    try:
        write_report(path, report)
    except ReportError as error:
        # A run that failed keeps the status that says so.
        status = status or EXIT_NOT_WRITTEN
        try:
            where = rescue_report(report)
        except ReportError as worse:
            return EndedRun(status, f"{summary(report)}\n", [*problems, f"{error}, {worse}: there is no report"])
        problems = [*problems, f"{error}; it is in {where} instead"]
    return EndedRun(status, f"{summary(report)}\n  report {where}\n", problems)


def driver_failure(driver: SimulatedDriver | None, supervisor: Supervisor, end_s: float | None = None) -> str:
    """How a simulated robot ended and what it said last; empty where it runs, and for a real one.

    Args:
        driver: The simulated robot; None for a real one.
        supervisor: What drove it, after `run`.
        end_s: How long it may take to end where it does not answer, [s]; None: as it says.
    """
    if driver is None:
        return ""
    failure = driver.failure()
    if not failure and any(event["kind"] == "shutdown" for event in supervisor.events.list()):
        # It did not answer at the end: it may be about to end by itself, which can take it a while.
        failure = driver.end(end_s)
    return failure
