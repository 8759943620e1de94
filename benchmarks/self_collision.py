"""What a robot's distance from itself costs, per row of a chunk.

    python -m unichunk.benchmarks.self_collision [--json FILE] [--quick]

Rows are random configurations within the joint limits, many of which overlap somewhere, and rows near the rest pose, as
a chunk has them; sixteen at a time, and one at a time. "All pairs" measures every pair of shapes instead of those that
can be the closest. The aims are 100 microseconds for one arm and 300 for a humanoid.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import pinocchio as pin
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.samples import Samples
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.self_collision import SelfCollision

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME: Final = "self_collision"
KINDS: Final = ("random", "near rest", "near rest, one row", "near rest, all pairs")
ALL_PAIRS: Final = 20
"""So many chunks are measured with all pairs, too."""

ROWS: Final = 16
NEAR: Final = 0.1
"""Rows near the rest pose are this share of the way to random ones."""


@dataclass
class Options:
    """Measures the self-collision distance of every robot.

    Attributes:
        json: Write the result to this file too.
        quick: A tenth of the repetitions.
    """

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    quick: bool = False


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    rows, ratios = measure(20 if options.quick else 200)
    _print(rows)
    result = document(NAME, quick=options.quick, ratios=ratios, pinocchio=pin.__version__, unit="us per row", rows=rows)
    write_json(options.json, result)


def measure(chunks: int) -> tuple[list[dict[str, Any]], dict[str, Ratio]]:
    """Measure every robot that has pairs, `chunks` chunks of each kind; what leaving out pairs gains is a ratio."""
    rows, ratios = [], {}
    for name in robot_names():
        if robot_description(name).self_collision:
            row, ratios[f"{name}: all pairs / those that can be the closest"] = _measure(name, chunks)
            rows.append(row)
    return rows, ratios


def _measure(name: str, chunks: int) -> tuple[dict[str, Any], Ratio]:
    measured = SelfCollision(name)
    lower, upper = measured.model.lowerPositionLimit, measured.model.upperPositionLimit
    spread = np.random.default_rng(0).uniform(lower, upper, (chunks, ROWS, measured.model.nq))
    near = (1 - NEAR) * np.clip(0, lower, upper) + NEAR * spread
    samples, pairs = Samples(), []
    _cost(measured, near[0])  # the first is for warming up
    for i in range(chunks):
        samples.add("random", _cost(measured, spread[i]))
        chosen = _cost(measured, near[i])
        samples.add("near rest", chosen)
        samples.add("near rest, one row", _cost(measured, near[i, :1]))
        if i % max(1, chunks // ALL_PAIRS) == 0:
            everything = _cost(measured, near[i], everything=True)
            samples.add("near rest, all pairs", everything)
            pairs.append((everything, chosen))
    overlapping = np.mean([measured.distances(chunk).distance < 0 for chunk in spread])
    row = {
        "robot": name,
        "joints": measured.model.nq,
        "pairs": len(measured.pairs),
        "overlapping": float(overlapping),
        "times": samples.summary(),
    }
    return row, paired_ratio(*zip(*pairs, strict=True), better="higher")


def _cost(measured: SelfCollision, q: NDArray[np.float64], *, everything: bool = False) -> int:
    """Time of one call, [ns] per row."""
    begun = time.perf_counter_ns()
    if everything:
        measured.all_distances(q)
    else:
        measured.distances(q)
    return (time.perf_counter_ns() - begun) // len(q)


def _print(rows: list[dict[str, Any]]) -> None:
    print("Microseconds per row, p50 (p99)\n")
    print(
        markdown_table(
            ("robot", "joints", "pairs", *KINDS),
            [
                (
                    row["robot"],
                    row["joints"],
                    row["pairs"],
                    *(f"{row['times'][kind]['p50']:.1f} ({row['times'][kind]['p99']:.1f})" for kind in KINDS),
                )
                for row in rows
            ],
        )
    )


if __name__ == "__main__":
    main()
