"""What a network between robot and policy does to a run: delay, jitter, loss, an outage.

    unichunk bench network [--json FILE] [--quick]

`unichunk serve` with the shipped bundle runs in one network namespace, `unichunk run` with the simulated SO-101 in
another, in real time, over WebSocket and over ZeroMQ. Between them packets are delayed and lost: by `tc netem` where
the kernel has it, else by a relay of our own between two TUN devices. TCP at both ends is the kernel's. Needs Linux
and root.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, document, not_measured, write_json
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.percentiles import percentiles
from unichunk.benchmarks.netlab.conditions import Conditions
from unichunk.benchmarks.netlab.laboratory import Laboratory, LaboratoryUnavailable
from unichunk.benchmarks.netlab.probe import round_trips_s
from unichunk.benchmarks.networked.plan import cells
from unichunk.benchmarks.networked.rows import COLUMNS, cells_of
from unichunk.benchmarks.networked.running import RunFailed, Server, run_cell
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason

NAME: Final = "network"
PROBED: Final = {"no delay": Conditions(), "50 ms": Conditions.of_round_trip(0.05)}
"""What small packets are sent through before anything else, to know what the path itself adds."""

DEFINITIONS: Final = {
    "conditions": "of the round trip, half of them in each direction; packets keep their order, as with netem and a "
    "rate; each direction loses as many packets as is said, and carries 1 Gbit/s",
    "path": "round trips of 64 bytes over UDP through the path alone; lateness: how long after a packet was due the "
    "relay handed it on",
    "d": "rows committed while a chunk is computed, by chunk",
    "chunk latency": "from the observation's capture until the rows can be read, network included",
    "late chunks, without answer": "chunks that came after rows of theirs were due, and those that never came",
    "largest step / velocity limit": "between two commands, the worst joint",
    "first chunk after outage": "from its end until the server had answered the robot's next request, and the way back",
}


@dataclass
class Options:
    """Run the simulated SO-101 with its policy at the other end of several networks."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the result to this file too."""
    quick: bool = False
    """Three cells of about 8 s."""
    relay: bool = False
    """Use the relay where the kernel has netem, too."""
    seed: int = 0
    """Seed of policy and simulator, and of what is lost."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "server", "sim")
    with ended_by_signals(NAME):
        try:
            result = _measure(options)
        except LaboratoryUnavailable as refused:
            print(f"unichunk bench {NAME}: {refused}", file=sys.stderr)
            raise SystemExit(EXIT_STATUS[ExitReason.REFUSED]) from None
        except RunFailed as failed:
            print(f"unichunk bench {NAME}: {failed}", file=sys.stderr)
            raise SystemExit(1) from None
    print(f"carried by: {result['path']['how']}")
    print(markdown_table(COLUMNS, [cells_of(row) for row in result["rows"]]))
    write_json(options.json, result)


def _measure(options: Options) -> dict[str, Any]:
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="unichunk-") as name,
        Laboratory("relay" if options.relay else "auto", seed=options.seed) as laboratory,
    ):
        path = _probe(laboratory, quick=options.quick)
        bare = path["round_trip_ms"]["no delay"]["p50"]
        _say(f"carried by {laboratory.how}; without delay a round trip takes {bare:.2f} ms")
        with Server(laboratory, Path(name)) as server:
            for cell in cells(quick=options.quick):
                _say(f"{cell.network.name}, {cell.transport}: {cell.duration_s:.0f} s")
                rows.append(run_cell(cell, laboratory, server, Path(name), options.seed))
    return document(NAME, quick=options.quick, definitions=DEFINITIONS, path=path, rows=rows)


def _probe(laboratory: Laboratory, *, quick: bool) -> dict[str, Any]:
    """What the path itself adds."""
    found: dict[str, Any] = {"how": laboratory.how, "relay_under_fifo": laboratory.fifo, "round_trip_ms": {}}
    laboratory.forget()
    for name, conditions in PROBED.items():
        laboratory.change(conditions)
        times_ms = [1e3 * time_s for time_s in round_trips_s(laboratory, 20 if quick else 100)]
        spread = percentiles(times_ms)
        found["round_trip_ms"][name] = spread if times_ms else not_measured("no packet came back")
    found["statistics"] = laboratory.statistics()
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
