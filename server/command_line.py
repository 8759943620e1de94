"""The `unichunk` command."""

from __future__ import annotations

import sys

import tyro

from unichunk.server.bench_command import COMMAND, Bench, benchmark_of
from unichunk.server.compile_command import Compile
from unichunk.server.driver_command import Driver
from unichunk.server.embodiments_command import Embodiments
from unichunk.server.fleet_command import Fleet
from unichunk.server.run_command import Run


def main() -> None:
    """Entry point of the `unichunk` command; ends the process with the command's exit status."""
    command = benchmark_of(sys.argv[1:]) or tyro.extras.subcommand_cli_from_dict(
        {"run": Run, "fleet": Fleet, "compile": Compile, "driver": Driver, "embodiments": Embodiments, COMMAND: Bench},
        prog="unichunk",
        description="Real-time robot inference runtime: policies that predict chunks, robots that cannot wait.",
    )
    sys.exit(command())


if __name__ == "__main__":
    main()
