"""How long every stage takes, from the camera to the first command of a chunk, inside a live run.

    unichunk bench latency [--policy BUNDLE | --random small] [--views 1 2] [--rounds 0 2] [--json FILE] [--html FILE]

Runtime, link and driver process are the real ones; the robot is its simulated twin, or a stand-in where there is no
simulator. Cases (views, Euler steps, refinement rounds) are visited in turn, each visit a short run of its own: every
chunk waits for a frame that arrives after the last chunk was done, while the control thread commands the robot. With
a bundle, those cases can be measured that it has graphs for; `--random` writes a checkpoint of random weights in a
published architecture and compiles it for each (extra `compile`). The rounds are unrolled in one graph: what one takes
is derived from graphs with different numbers of them. Load, first inference and memory are those of fresh processes.
Power, clocks and temperatures are there as far as the machine tells them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, write_json, write_whole
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.stages.comparison import comparison_page, comparison_parts, read_documents
from unichunk.benchmarks.stages.latency_document import measured
from unichunk.benchmarks.stages.latency_page import latency_page
from unichunk.benchmarks.stages.options import Options, complaints
from unichunk.benchmarks.stages.texts import parts_of
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason

if TYPE_CHECKING:
    from unichunk.benchmarks.stages.texts import Part

USAGE: Final = 2


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog="unichunk bench latency", description=__doc__)
    for complaint in complaints(options):
        print(f"unichunk bench latency: {complaint}", file=sys.stderr)
        raise SystemExit(USAGE)
    check_writable(options.json)
    try:
        if options.compare:
            _compare(options)
        else:
            with ended_by_signals("latency"):
                result = measured(options)
            _report(options, result)
    except UnichunkError as error:
        print(f"unichunk bench latency: {error}", file=sys.stderr)
        raise SystemExit(EXIT_STATUS[ExitReason.REFUSED]) from None


def _report(options: Options, result: dict[str, Any]) -> None:
    write_json(options.json, result)
    if options.html is not None:
        write_whole(options.html, latency_page(result).encode())
    _print(parts_of(result))


def _compare(options: Options) -> None:
    documents = read_documents(options.compare)
    if options.html is not None:
        write_whole(options.html, comparison_page(documents).encode())
    _print(comparison_parts(documents))


def _print(parts: list[Part]) -> None:
    for part in parts:
        print(f"\n## {part.title}\n")
        if part.rows:
            print(markdown_table(part.headers, part.rows))
        if part.notes:
            print("\n" + "\n".join(f"- {note}" for note in part.notes))


if __name__ == "__main__":
    main()
