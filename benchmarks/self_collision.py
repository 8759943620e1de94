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

import msgspec
import numpy as np
import pinocchio as pin
import tyro

from unichunk.benchmarks.machine import describe_machine
from unichunk.benchmarks.samples import Samples
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.self_collision import SelfCollision

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    options = tyro.cli(Options, description=__doc__)
    result = measure(20 if options.quick else 200)
    _print(result)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def measure(chunks: int) -> dict[str, Any]:
    """Measure every robot that has pairs, `chunks` chunks of each kind."""
    machine = describe_machine()
    robots = {name: _measure(name, chunks) for name in robot_names() if robot_description(name).self_collision}
    return {"machine": {**machine, "pinocchio": pin.__version__}, "unit": "us per row", "robots": robots}


def _measure(name: str, chunks: int) -> dict[str, Any]:
    measured = SelfCollision(name)
    lower, upper = measured.model.lowerPositionLimit, measured.model.upperPositionLimit
    spread = np.random.default_rng(0).uniform(lower, upper, (chunks, ROWS, measured.model.nq))
    near = (1 - NEAR) * np.clip(0, lower, upper) + NEAR * spread
    samples = Samples()
    for i in range(chunks):
        samples.add("random", _cost(measured, spread[i]))
        samples.add("near rest", _cost(measured, near[i]))
        samples.add("near rest, one row", _cost(measured, near[i, :1]))
        if i % 10 == 0:
            samples.add("near rest, all pairs", _cost(measured, near[i], everything=True))
    overlapping = np.mean([measured.distances(chunk).distance < 0 for chunk in spread])
    return {
        "joints": measured.model.nq,
        "pairs": len(measured.pairs),
        "overlapping": float(overlapping),
        "times": samples.summary(),
    }


def _cost(measured: SelfCollision, q: NDArray[np.float64], *, everything: bool = False) -> int:
    """Time of one call, [ns] per row."""
    begun = time.perf_counter_ns()
    if everything:
        measured.all_distances(q)
    else:
        measured.distances(q)
    return (time.perf_counter_ns() - begun) // len(q)


def _print(result: dict[str, Any]) -> None:
    print(", ".join(f"{key} {value}" for key, value in result["machine"].items()))
    kinds = ("random", "near rest", "near rest, one row", "near rest, all pairs")
    print(f"\n{'us per row, p50 (p99)':24}{'joints':>7}{'pairs':>7}" + "".join(f"{kind:>24}" for kind in kinds))
    for name, robot in result["robots"].items():
        cells = [f"{row['p50']:.1f} ({row['p99']:.1f})" for row in (robot["times"][kind] for kind in kinds)]
        print(f"{name:24}{robot['joints']:7}{robot['pairs']:7}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
