"""`unichunk bench`: the project's measurements."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.server.say import say

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND: Final = "bench"
PACKAGE: Final = "unichunk.benchmarks"
RUNS: Final = 'if __name__ == "__main__":'
"""A module of the package with this line is a benchmark; the others are parts of benchmarks."""


@dataclass
class Bench:
    """Measure how fast or how well something works; without a name, list what can be measured.

    What follows the name is the benchmark's own, and so is the exit status; 3 if there is no such benchmark.

    Try: unichunk bench ik --help
    """

    name: tyro.conf.Positional[str] = ""
    """Name of the benchmark."""
    arguments: tyro.conf.Positional[tuple[str, ...]] = ()
    """Its arguments."""

    def __call__(self) -> int:
        """Become the benchmark; return only where there is none."""
        names = benchmark_names()
        if not self.name:
            say("".join(f"{name}\n" for name in names), sys.stdout)
            return 0
        if self.name not in names:
            say(f"unichunk bench: unknown benchmark {self.name!r}: expected one of {', '.join(names)}\n", sys.stderr)
            return EXIT_STATUS[ExitReason.REFUSED]
        # Nobody imports benchmarks: they need extras, and some set up their process before they load anything.
        return os.execv(sys.executable, [sys.executable, "-m", f"{PACKAGE}.{self.name}", *self.arguments])  # noqa: S606


def benchmark_names() -> list[str]:
    """Names of the benchmarks that are installed, sorted; none of them is imported."""
    package = find_spec(PACKAGE)
    folders = (package and package.submodule_search_locations) or []
    modules = [path for folder in folders for path in Path(folder).glob("*.py")]
    return sorted(path.stem for path in modules if RUNS in path.read_text(encoding="utf-8"))


def benchmark_of(arguments: Sequence[str]) -> Bench | None:
    """The benchmark that a command line names, with all that follows as it stands; None where it names none.

    A parser of the whole command would take the benchmark's options, `--help` among them, for its own.
    """
    if arguments[:1] == [COMMAND] and len(arguments) > 1 and not arguments[1].startswith("-"):
        return Bench(arguments[1], tuple(arguments[2:]))
    return None
