"""Inverse kinematics of this project next to Pink, mink and plain damped least squares: success, time, residuals.

    unichunk bench ik [--robots fr3 ...] [--targets N] [--output FILE]

All solvers get the same targets in turn, one target at a time, on one thread; success is judged by forward kinematics
of what they return, never by their word. Pink and mink get models without other joints, the limits as a box of their
quadratic programs, DAQP as their solver, and restarts from random configurations until their time is up; in chunks,
several steps per row, in the box of the row's velocity limits. Times are wall clock and, next to it, time that the
thread computed: on a busy machine the second tells more.

Sections: `reach`, one target from the middle of the range, at two tolerances; `follow`, chunks of 16 rows at 20 and
50 Hz that can be followed at 80 % of the velocity limits; `long`, ten such chunks on end; `singular`, through singular
configurations; `fingertips`, positions of five fingertips. The peers are in the extra `bench`.
"""

from __future__ import annotations

import datetime
import sys
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import Any, Literal, TypeAlias, get_args

import msgspec
import tyro

from unichunk.benchmarks.ik_peers import PEERS, PLAIN_SETTINGS, QP_SETTINGS, missing_peers, versions
from unichunk.benchmarks.ik_report import print_measurements
from unichunk.benchmarks.ik_sections import SECTIONS, Plan, Section
from unichunk.benchmarks.machine import describe_machine
from unichunk.benchmarks.single_thread import restart_with_one_thread
from unichunk.kinematics.description import robot_names

SectionName: TypeAlias = Literal["reach", "follow", "long", "singular", "fingertips"]


@dataclass(frozen=True)
class Options:
    """Measure inverse kinematics, and print tables."""

    robots: tuple[str, ...] = ()
    """Robots and hands to measure; without it, all."""
    sections: tuple[SectionName, ...] = get_args(SectionName)
    """What to measure."""
    targets: int = 10_000
    """Targets of an arm for us."""
    peer_targets: int = 1000
    """How many of them the others get."""
    paths: int = 100
    """Paths of each kind for us."""
    peer_paths: int = 30
    """How many of them the others get."""
    seconds_per_target: float = QP_SETTINGS.seconds
    """Time that the others have for a target, restarts included, [s]."""
    output: Path | None = None
    """Where to write all numbers as JSON."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog="unichunk bench ik", description=__doc__)
    for complaint in complaints(options):
        sys.exit(f"unichunk bench ik: {complaint}")
    restart_with_one_thread("unichunk.benchmarks.ik")
    result = measure(options)
    if options.output is not None:
        options.output.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each; found before anything is measured."""
    known = robot_names()
    found = [
        f"unknown robot {name!r}: expected some of {', '.join(known)}" for name in options.robots if name not in known
    ]
    counts = {"targets": options.targets, "paths": options.paths}
    found += [f"--{name} {count}: expected at least 1" for name, count in counts.items() if count < 1]
    counts = {"peer-targets": options.peer_targets, "peer-paths": options.peer_paths}
    found += [f"--{name} {count}: expected at least 0" for name, count in counts.items() if count < 0]
    if not options.seconds_per_target > 0.0:
        found.append(f"--seconds-per-target {options.seconds_per_target}: expected a positive number")
    if options.output is not None and not options.output.absolute().parent.is_dir():
        found.append(f"--output {options.output}: expected a file in a folder that exists")
    return found


def measure(options: Options) -> dict[str, Any]:
    """Measure and print what the options ask for; everything as one document."""
    missing = missing_peers()
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": versions(),
        "missing_peers": missing,
        "settings": {"qp": asdict(QP_SETTINGS), "plain": asdict(PLAIN_SETTINGS)},
        "options": asdict(options) | {"output": None},
    }
    print(", ".join(f"{key} {value}" for key, value in {**result["machine"], **result["versions"]}.items()))
    for name in missing:
        print(f"{name}: not installed, left out; pip install 'unichunk[bench]' ({PEERS[name]}, daqp)")
    plan = Plan(
        options.robots,
        options.targets,
        min(options.peer_targets, options.targets),
        options.paths,
        min(options.peer_paths, options.paths),
        options.seconds_per_target,
    )
    for name in options.sections:
        result[name] = _measure_section(name, plan)
    return result


def _measure_section(name: SectionName, plan: Plan) -> list[dict[str, Any]]:
    section: Section = SECTIONS[name]
    measurements = section.measure(plan)
    if measurements:
        print_measurements(section.title, measurements)
    return measurements


if __name__ == "__main__":
    main()
