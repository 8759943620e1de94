"""Inverse kinematics of this project next to Pink, mink and plain damped least squares: success, time, residuals.

    unichunk bench ik [--robots fr3 ...] [--targets N] [--json FILE] [--quick]

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

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.ik_peers import PEERS, PLAIN_SETTINGS, QP_SETTINGS, missing_peers, versions
from unichunk.benchmarks.ik_report import print_measurements
from unichunk.benchmarks.ik_sections import SECTIONS, Plan, Section
from unichunk.benchmarks.single_thread import restart_with_one_thread
from unichunk.kinematics.description import robot_names

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "ik"

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
    json: Path | None = None
    """Where to write all numbers as JSON."""
    quick: bool = False
    """At most 100 targets, 20 for the others, and 4 paths, 2 for the others."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    for complaint in complaints(options):
        sys.exit(f"unichunk bench {NAME}: {complaint}")
    restart_with_one_thread("unichunk.benchmarks.ik")
    result = measure(short(options) if options.quick else options)
    rows = [{"section": name, **row} for name in options.sections for row in result.pop(name)]
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios(rows), **result, rows=rows))


def short(options: Options) -> Options:
    """The same with few targets and paths."""
    return replace(
        options,
        targets=min(options.targets, 100),
        peer_targets=min(options.peer_targets, 20),
        paths=min(options.paths, 4),
        peer_paths=min(options.peer_paths, 2),
    )


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Ratio]:
    """How many times as long as ours the others take, section by section: medians over targets, paired by case."""
    times: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for other in row["solvers"][1:]:
            theirs = other["wall_us"]["median"]
            pair = theirs, theirs / other["wall_over_ours"]["median"]
            times.setdefault(f"{row['section']}: {other['solver']} / unichunk", []).append(pair)
    return {label: paired_ratio(*zip(*pairs, strict=True), better="higher") for label, pairs in times.items()}


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
    return found


def measure(options: Options) -> dict[str, Any]:
    """Measure and print what the options ask for; everything as one document."""
    missing = missing_peers()
    result: dict[str, Any] = {
        "versions": versions(),
        "missing_peers": missing,
        "settings": {"qp": asdict(QP_SETTINGS), "plain": asdict(PLAIN_SETTINGS)},
        "options": asdict(options) | {"json": None},
    }
    print(", ".join(f"{key} {value}" for key, value in result["versions"].items()))
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
