"""The `unichunk` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.server.bench_command import COMMAND, Bench, benchmark_of
from unichunk.server.compile_command import Compile
from unichunk.server.dependence_command import DependenceCheck
from unichunk.server.driver_command import Driver
from unichunk.server.embodiments_command import Embodiments
from unichunk.server.engines_command import Engines
from unichunk.server.eval_command import Eval
from unichunk.server.fleet_command import Fleet
from unichunk.server.keys_command import Keys
from unichunk.server.run_command import Run
from unichunk.server.serve_command import Serve
from unichunk.server.swap_command import Drain, Swap

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS: Final[dict[str, Callable[..., Any]]] = {
    "run": Run,
    "fleet": Fleet,
    "serve": Serve,
    "swap": Swap,
    "drain": Drain,
    "keys": Keys,
    "eval": Eval,
    "compile": Compile,
    "dependence": DependenceCheck,
    "driver": Driver,
    "embodiments": Embodiments,
    "engines": Engines,
    COMMAND: Bench,
}


def main() -> None:
    """Entry point of the `unichunk` command; ends the process with the command's exit status."""
    command = benchmark_of(sys.argv[1:]) or tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="unichunk",
        description="Real-time robot inference runtime: policies that predict chunks, robots that cannot wait.",
    )
    sys.exit(command())


if __name__ == "__main__":
    main()
