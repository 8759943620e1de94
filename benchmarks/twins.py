"""Whether each simulated robot keeps real time on one core, at its native command rate, with all its cameras.

    unichunk bench twins [--robots so101 ...] [--duration 10] [--json FILE] [--quick]

A driver process, bound to one core, serves the twin over its real link; this process sends it a command a period from
another core. Periods are counted by the driver, cameras by the frames that it published; the share of the core is its
processor time over the time that went by.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.link import DriverLink
from unichunk.runtime.deadline import sleep_until
from unichunk.server.simulated_driver import simulated_driver

NAME: Final = "twins"
QUICK_S: Final = 3.0
SWING: Final = 0.05
"""Half of the way that joints swing, [rad], away from where they stand and back ..."""
SWING_S: Final = 4.0
"""... in this time, [s]: far below every limit."""

COLUMNS: Final = ("robot", "periods/s (asked)", "left out", "starved", "frames/s of each camera (asked)", "of one core")


@dataclass
class Options:
    """Run every twin on one core and print a table."""

    robots: tuple[str, ...] = ()
    """Which ones; all that ship if left out."""
    duration: float = 10.0
    """How long each is measured, in seconds."""
    core: int = 0
    """Number of the core."""
    quick: bool = False
    """3 s each."""
    json: Path | None = None
    """Where to write the rows as JSON."""


def main() -> None:
    """Run the benchmark."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "sim")
    duration_s = QUICK_S if options.quick else options.duration
    rows = [_row(name, duration_s, options.core) for name in options.robots or embodiment_names()]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        cells = (
            row["robot"],
            f"{row['periods_per_s']:.1f} ({row['command_hz']})",
            str(row["missed_periods"]),
            str(row["starved"]),
            ", ".join(f"{rate:.1f} ({asked})" for rate, asked in row["frames_per_s"].values()),
            f"{row['core']:.2f}",
        )
        print("| " + " | ".join(cells) + " |")
    write_json(options.json, document(NAME, quick=options.quick, duration_s=duration_s, rows=rows))


def _row(name: str, duration_s: float, core: int) -> dict[str, Any]:
    spec = load_spec(name)
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # what is started now stays there
    try:
        with simulated_driver(name, 0, ()) as driver:
            os.sched_setaffinity(0, everywhere - {core} or everywhere)
            (process,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()
            link = DriverLink(driver.endpoint, spec)
            try:
                link.connect()
                _swing(link, spec.command_hz, 1.0)
                before = _counted(link, process)
                _swing(link, spec.command_hz, duration_s)
                after = _counted(link, process)
            finally:
                link.close()
    finally:
        os.sched_setaffinity(0, everywhere)
    change = {key: after[key] - before[key] for key in before}
    return {
        "robot": name,
        "command_hz": spec.command_hz,
        "periods_per_s": change["periods"] / change["time_s"],
        "missed_periods": change["missed_periods"],
        "starved": change["starved"],
        "frames_per_s": {
            camera: (change[camera] / change["time_s"], spec.cameras[camera].fps) for camera in spec.cameras
        },
        "core": change["processor_s"] / change["time_s"],
    }


def _swing(link: DriverLink, command_hz: int, duration_s: float) -> None:
    """Send a command a period: away from where the robot stands and back again."""
    while (state := link.states.newest()) is None:
        time.sleep(0.01)
    start, begin_ns = state.q, time.monotonic_ns()
    for step in range(round(duration_s * command_hz)):
        sleep_until(begin_ns + step * 1_000_000_000 // command_hz)
        share = 1.0 - np.cos(2.0 * np.pi * step / (SWING_S * command_hz))
        link.commands.send(step, start + SWING * share * np.sign(-start - 1e-9))


def _counted(link: DriverLink, process: str) -> dict[str, float]:
    status, state = link.control.status(), link.states.newest()
    assert state is not None
    ticks = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return {
        "time_s": time.monotonic(),
        "periods": state.sequence,
        "missed_periods": status.counters["missed_periods"],
        "starved": status.counters["starved"],
        "processor_s": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        **status.frames,
    }


if __name__ == "__main__":
    main()
